package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

// deadFlags say which dead letters are meant.
type deadFlags struct{ lane, status, since, until string }

func (d *deadFlags) flags(a *app, cmd *cobra.Command, c *connection) {
	fl := cmd.Flags()
	fl.StringVar(&d.lane, "lane", "", "only of this `LANE`")
	fl.StringVar(&d.status, "status", "", "only those whose last answer had this `STATUS`, or none")
	fl.StringVar(&d.since, "since", "", "only those that died at this `TIME` or later: 2h, 3d (ago), 2006-01-02, \"2006-01-02 15:04\" or RFC 3339")
	fl.StringVar(&d.until, "until", "", "only those that died before this `TIME`")
	_ = cmd.RegisterFlagCompletionFunc("lane", a.completeLanes(c))
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"none", "400", "401", "403", "404", "410", "422"}, cobra.ShellCompDirectiveNoFileComp))
}

// given tells whether any of them is.
func (d *deadFlags) given() bool { return *d != deadFlags{} }

// filter finds the lane by asking the server.
func (d *deadFlags) filter(ctx context.Context, cl *client.Client, now time.Time) (f admin.Filter, err error) {
	if f.Status, err = statusOf(d.status); err != nil {
		return f, err
	}
	if f.From, err = timeOf("--since", d.since, now); err != nil {
		return f, err
	}
	if f.To, err = timeOf("--until", d.until, now); err != nil {
		return f, err
	}
	if d.lane != "" {
		l, err := findLane(ctx, cl, d.lane)
		if err != nil {
			return f, err
		}
		f.Lane = l.Name
	}
	return f, nil
}

func statusOf(s string) (int, error) {
	switch s {
	case "":
		return 0, nil
	case "none":
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 999 {
		return 0, misused("--status %q is no HTTP status; write one as 404, or none for no answer", s)
	}
	return n, nil
}

// timeOf takes a time, or how long ago it was.
func timeOf(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.ParseUint(n, 10, 16); err == nil {
			return now.Add(-time.Duration(days) * 24 * time.Hour), nil // #nosec G115 -- of 16 bits
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, misused(`%s %q is no time; write 2h or 3d for so long ago, or 2006-01-02, "2006-01-02 15:04" or RFC 3339`, flag, s)
}

func (a *app) deadCommand() *cobra.Command {
	var c connection
	var d deadFlags
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use: "dead", Short: "list dead letters: messages that are no longer tried", Args: atMost(0),
		Long: `List dead letters: messages that are no longer tried, but kept. In each lane the latest come first.`,
		Example: `  webhook-repeater dead
  webhook-repeater dead --lane http://jira.intranet:8080 --since 2h
  webhook-repeater dead --status 404 --limit 0
  webhook-repeater dead --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return misused("--limit is a number from 0 on")
			}
			cl, err := c.dial()
			if err != nil {
				return err
			}
			f, err := d.filter(cmd.Context(), cl, a.now())
			if err != nil {
				return err
			}
			return a.listDead(cmd.Context(), cl, f, limit, asJSON)
		},
	}
	d.flags(a, cmd, &c)
	cmd.Flags().IntVar(&limit, "limit", 100, "how `MANY` to list; 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the API returns")
	c.flags(cmd)
	return cmd
}

func (a *app) listDead(ctx context.Context, cl *client.Client, f admin.Filter, limit int, asJSON bool) error {
	out := a.messageList(asJSON, &table{columns: []column{{"KEY", false}, {"DIED", false}, {"ROUTE", false}, {"LANE", false},
		{"SIZE", true}, {"ATTEMPTS", true}, {"REASON", false}}}, a.deadRow)
	more, err := eachDead(ctx, cl, f, limit, out.page)
	if err != nil {
		return err
	}
	out.end(more, "There are no such dead letters.")
	return nil
}

func (a *app) deadRow(m *admin.Message) []cell {
	died := ""
	if m.Died != nil {
		died = a.ago(*m.Died)
	}
	return []cell{{text: key(m)}, {text: died}, {text: m.Route}, {text: m.Lane}, {text: bytesOf(m.Size)}, {text: count(m.Attempts)}, {text: m.Reason}}
}

// eachDead goes through one lane, or all that have dead letters. It tells whether limit has left some out.
func eachDead(ctx context.Context, cl *client.Client, f admin.Filter, limit int, each func([]admin.Message)) (more bool, err error) {
	lanes := []string{f.Lane}
	if f.Lane == "" {
		if lanes, err = lanesWithDead(ctx, cl); err != nil {
			return false, err
		}
	}
	n := 0
	for _, name := range lanes {
		if limit > 0 && n >= limit {
			return true, nil
		}
		f.Lane = name
		ask := func(ctx context.Context, cursor string, most int) (client.Page, error) {
			return cl.Dead(ctx, f, cursor, most)
		}
		more, err = pages(ctx, max(0, limit-n), ask, func(m []admin.Message) {
			n += len(m)
			each(m)
		})
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

func lanesWithDead(ctx context.Context, cl *client.Client) (names []string, err error) {
	lanes, err := cl.Lanes(ctx)
	for i := range lanes {
		if lanes[i].Dead > 0 {
			names = append(names, lanes[i].Name)
		}
	}
	return names, err
}
