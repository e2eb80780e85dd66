package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

const (
	watchEvery = 2 * time.Second
	watchLeast = 100 * time.Millisecond
)

func (a *app) lanesCommand() *cobra.Command {
	var c connection
	var asJSON bool
	var watch time.Duration
	cmd := &cobra.Command{
		Use: "lanes [LANE]", Short: "list the lanes, or show one in detail", Args: atMost(1),
		Long: `List the lanes, one for each destination; or show one in detail.
LANE is its name as listed, the same without http://, or the name of a route, if it is the lane's only one.
With --watch and --json, each line is one answer of the API.`,
		Example: `  webhook-repeater lanes
  webhook-repeater lanes --watch
  webhook-repeater lanes --watch=1s
  webhook-repeater lanes http://jira.intranet:8080
  webhook-repeater lanes --json`,
		ValidArgsFunction: a.completeOneLane(&c),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.dial()
			switch {
			case err != nil:
				return err
			case cmd.Flags().Changed("watch") && watch < watchLeast:
				return misused("--watch takes a time from %v on", watchLeast)
			case len(args) == 1 && watch > 0:
				return misused("--watch shows all lanes; leave out LANE, and write a time as --watch=5s")
			case len(args) == 1:
				return a.showLane(cmd.Context(), cl, args[0], asJSON)
			case watch > 0:
				return a.watchLanes(cmd.Context(), cl, watch, asJSON)
			}
			lanes, err := cl.Lanes(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(laneList{lanes})
			}
			a.laneTable(a.out, lanes, colour(a.out))
			return nil
		},
	}
	fl := cmd.Flags()
	fl.DurationVar(&watch, "watch", 0, "show them again every `TIME`, until Ctrl-C; 2s if none is given")
	fl.Lookup("watch").NoOptDefVal = watchEvery.String()
	fl.BoolVar(&asJSON, "json", false, "print what the API returns")
	c.flags(cmd)
	return cmd
}

type laneList struct {
	Lanes []admin.Lane `json:"lanes"`
}

func (a *app) laneTable(w io.Writer, lanes []admin.Lane, colour bool) {
	if len(lanes) == 0 {
		fmt.Fprintln(w, "There are no lanes.")
		return
	}
	t := table{columns: []column{{"LANE", false}, {"STATE", false}, {"WAITING", true}, {"SIZE", true}, {"OLDEST", true},
		{"IN/S", true}, {"OUT/S", true}, {"DEAD", true}, {"NEXT ATTEMPT", false}}}
	for i := range lanes {
		l := &lanes[i]
		oldest := ""
		if l.OldestAge > 0 {
			oldest = span(seconds(l.OldestAge))
		}
		t.add(cell{text: l.Name}, cell{string(l.State), stateStyle(l.State)}, cell{text: count(l.Waiting)}, cell{text: bytesOf(l.Bytes)},
			cell{text: oldest}, cell{text: rate(l.AcceptedPerSecond)}, cell{text: rate(l.DeliveredPerSecond)}, deadCell(l.Dead), cell{text: a.until(l.NextAttempt)})
	}
	t.print(w, colour)
}

func deadCell(n int) cell {
	if n > 0 {
		return cell{count(n), red}
	}
	return cell{text: "0"}
}

func (a *app) showLane(ctx context.Context, cl *client.Client, name string, asJSON bool) error {
	l, err := findLane(ctx, cl, name)
	if err != nil {
		return err
	}
	if asJSON {
		return a.json(l)
	}
	a.laneTable(a.out, []admin.Lane{l}, colour(a.out))
	fmt.Fprintf(a.out, "\n%s\n", clean(l.Why))
	for _, r := range remedies(&l) {
		a.remedy(r)
	}
	routes := strings.Join(l.Routes, ", ")
	if routes == "" {
		routes = "none that this server knows"
	}
	fmt.Fprintf(a.out, "\nRoutes: %s\nConcurrency: %d", clean(routes), l.Concurrency)
	if l.Strict {
		fmt.Fprint(a.out, ", strict order")
	}
	if l.Pace > 0 {
		fmt.Fprintf(a.out, ", %v between two attempts", seconds(l.Pace))
	}
	fmt.Fprintln(a.out)
	if l.LastErrorAt != nil {
		fmt.Fprintf(a.out, "Last error: %s, %s\n", clean(l.LastError), a.ago(*l.LastErrorAt))
	}
	return nil
}

// findLane takes a name as the API has it, and what people make of it. A name that
// could be two is none.
func findLane(ctx context.Context, cl *client.Client, name string) (admin.Lane, error) {
	l, err := cl.Lane(ctx, name)
	if err == nil || !client.IsNotFound(err) {
		return l, err
	}
	lanes, err := cl.Lanes(ctx)
	if err != nil {
		return admin.Lane{}, err
	}
	var found []admin.Lane
	for _, l := range lanes {
		if sameLane(&l, name) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		return admin.Lane{}, fmt.Errorf("there is no lane %q; webhook-repeater lanes lists them", name)
	case 1:
		return cl.Lane(ctx, found[0].Name)
	}
	return admin.Lane{}, fmt.Errorf("%q could be %s; write the whole name", name, listed(found))
}

func listed(lanes []admin.Lane) string {
	names := make([]string, len(lanes))
	for i := range lanes {
		names[i] = lanes[i].Name
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// sameLane also takes a name without scheme, or without the scheme's own port, or that of a route.
func sameLane(l *admin.Lane, name string) bool {
	whole := strings.TrimSuffix(name, "/")
	for _, form := range []string{l.Name, trimPort(l.Name)} {
		_, bare, _ := strings.Cut(form, "://")
		if whole == form || whole == bare {
			return true
		}
	}
	for _, r := range l.Routes {
		if r == name {
			return true
		}
	}
	return false
}

func trimPort(lane string) string {
	origin, own, named := strings.Cut(lane, " ")
	for scheme, port := range map[string]string{"http://": ":80", "https://": ":443"} {
		if strings.HasPrefix(origin, scheme) {
			origin = strings.TrimSuffix(origin, port)
		}
	}
	if named {
		return origin + " " + own
	}
	return origin
}

// watchLanes goes on while the server is away for a while, as when it is started anew.
func (a *app) watchLanes(ctx context.Context, cl *client.Client, every time.Duration, asJSON bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		lanes, err := cl.Lanes(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !errors.Is(err, client.ErrUnreachable)):
			return err
		case asJSON && err == nil:
			if err := json.NewEncoder(a.out).Encode(laneList{lanes}); err != nil {
				return err
			}
		case !asJSON:
			a.screen(lanes, err, first)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// screen draws over what was there; elsewhere than on a terminal, one table follows the other.
func (a *app) screen(lanes []admin.Lane, err error, first bool) {
	var b bytes.Buffer
	over := onTerminal(a.out)
	fmt.Fprintf(&b, "%s\n\n", clock(a.now()))
	if err != nil {
		fmt.Fprintln(&b, clean(err.Error()))
	} else {
		a.laneTable(&b, lanes, colour(a.out))
	}
	if !over {
		if !first {
			fmt.Fprintln(a.out)
		}
		_, _ = b.WriteTo(a.out)
		return
	}
	_, height, _ := term.GetSize(int(a.out.(*os.File).Fd())) // #nosec G115 -- a small number
	lines := strings.SplitAfter(b.String(), "\n")
	if height > 1 && len(lines) > height {
		lines = append(lines[:height-2], "...\n")
	}
	fmt.Fprint(a.out, "\x1b[H"+strings.ReplaceAll(strings.Join(lines, ""), "\n", "\x1b[K\n")+"\x1b[J")
}
