package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

// status is what the API tells of a whole server.
type status struct {
	Health admin.Health `json:"health"`
	Config admin.Config `json:"config"`
	Lanes  []admin.Lane `json:"lanes"`
}

func (a *app) statusCommand() *cobra.Command {
	var c connection
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show whether requests are stored and delivered, and what is stuck", Args: atMost(0),
		Long: `Show whether requests are stored and delivered, and which lanes need attention.
The exit status is 1 if the server does not do its work, or does not answer; a lane that waits for its
destination is no failure.`,
		Example: `  webhook-repeater status
  webhook-repeater status -c config.ini
  webhook-repeater status --server http://127.0.0.1:8101 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.dial()
			if err != nil {
				return err
			}
			s, err := askStatus(cmd.Context(), cl)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.json(s)
			} else {
				a.showStatus(cl.Base(), s)
			}
			if err == nil && !s.Health.Ready {
				return exit(exitFailed)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the API returns: health, config and lanes")
	c.flags(cmd)
	return cmd
}

func askStatus(ctx context.Context, cl *client.Client) (s status, err error) {
	if s.Health, err = cl.Health(ctx); err != nil {
		return s, err
	}
	if s.Config, err = cl.Config(ctx); err != nil {
		return s, err
	}
	s.Lanes, err = cl.Lanes(ctx)
	return s, err
}

func (a *app) showStatus(base string, s status) {
	c := colour(a.out)
	if s.Health.Ready {
		fmt.Fprintf(a.out, "%s %s stores and delivers.\n", green.paint("✓", c), base)
	} else {
		fmt.Fprintf(a.out, "%s %s is not ready: %s.\n", red.paint("✗", c), base, clean(strings.Join(s.Health.Reasons, "; ")))
	}
	waiting, dead, size := 0, 0, int64(0)
	for i := range s.Lanes {
		waiting, dead, size = waiting+s.Lanes[i].Waiting, dead+s.Lanes[i].Dead, size+s.Lanes[i].Bytes
	}
	fmt.Fprintf(a.out, "  %s, %s, version %s, configuration %s\n", plural(len(s.Config.Routes), "route", "routes"),
		plural(len(s.Lanes), "lane", "lanes"), clean(s.Health.Version), clean(s.Config.Fingerprint))
	fmt.Fprintf(a.out, "  %s (%s), %s\n", plural(waiting, "message waits", "messages wait"), bytesOf(size), letters(dead))
	well := true
	for i := range s.Lanes {
		if l := &s.Lanes[i]; l.State != admin.Well || l.Parked > 0 {
			well = false
			a.showTrouble(l, c)
		}
	}
	if well && len(s.Lanes) > 0 {
		fmt.Fprintln(a.out, "  All lanes are well.")
	}
	if dead > 0 {
		fmt.Fprintln(a.out, "\nDead letters: webhook-repeater dead")
	}
}

// showTrouble tells of a lane what is the matter, and what there is to do.
func (a *app) showTrouble(l *admin.Lane, c bool) {
	fmt.Fprintf(a.out, "\n%s  %s, %s", bold.paint(clean(l.Name), c), stateStyle(l.State).paint(string(l.State), c), plural(l.Waiting, "waits", "wait"))
	if l.OldestAge > 0 {
		fmt.Fprintf(a.out, " for up to %s", span(seconds(l.OldestAge)))
	}
	fmt.Fprintf(a.out, "\n  %s\n", clean(l.Why))
	for _, r := range remedies(l) {
		a.remedy(r)
	}
}

func stateStyle(s admin.State) style {
	switch s {
	case admin.Well:
		return green
	case admin.Unwell, admin.Refusing, admin.Failing:
		return red
	}
	return yellow
}

// remedy is a command, and what it is for.
type remedy struct{ purpose, command string }

func (a *app) remedy(r remedy) {
	fmt.Fprintf(a.out, "  %s: webhook-repeater %s\n", r.purpose, r.command)
}

// remedies are what an operator can do about a lane.
func remedies(l *admin.Lane) []remedy {
	name := shellWord(l.Name)
	switch l.State {
	case admin.Paused:
		return []remedy{{"Let it go on", "resume " + name}}
	case admin.Unwell:
		return []remedy{{"Try again now", "retry " + name}}
	case admin.Refusing:
		return []remedy{{"Once the destination is right, try again now", "retry " + name},
			{"If it rightly refuses them, let those die that it refuses", "drop-refused " + name}}
	}
	return nil
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	s = clean(s)
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_%+=@,", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
