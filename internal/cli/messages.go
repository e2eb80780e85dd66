package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

func (a *app) messagesCommand() *cobra.Command {
	var c connection
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use: "messages LANE", Short: "list what waits in a lane", Args: exactly(1, "one LANE; webhook-repeater lanes lists them"),
		Long: `List what waits in a lane, in the order in which it will be attempted.
LANE is as for webhook-repeater lanes.`,
		Example: `  webhook-repeater messages http://jira.intranet:8080
  webhook-repeater messages jira --limit 1000
  webhook-repeater messages jira --json`,
		ValidArgsFunction: a.completeOneLane(&c),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return misused("--limit is a number from 0 on")
			}
			cl, err := c.dial()
			if err != nil {
				return err
			}
			l, err := findLane(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			out := a.messageList(asJSON, &table{columns: []column{{"ID", false}, {"STATUS", false}, {"ROUTE", false},
				{"RECEIVED", false}, {"SIZE", true}, {"ATTEMPTS", true}, {"LAST", false}, {"NEXT", false}}}, a.messageRow)
			ask := func(ctx context.Context, cursor string, most int) (client.Page, error) {
				return cl.Messages(ctx, l.Name, cursor, most)
			}
			more, err := pages(cmd.Context(), limit, ask, out.page)
			if err != nil {
				return err
			}
			out.end(more, fmt.Sprintf("Nothing waits in %s.", clean(l.Name)))
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how `MANY` to list; 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the API returns")
	c.flags(cmd)
	return cmd
}

func (a *app) messageRow(m *admin.Message) []cell {
	next := a.until(m.Due)
	if next == "" && m.Status == admin.Waiting {
		next = "in its turn"
	}
	return []cell{{text: key(m)}, {text: string(m.Status)}, {text: m.Route}, {text: a.ago(m.Received)},
		{text: bytesOf(m.Size)}, {text: count(m.Attempts)}, {text: lastOutcome(m)}, {text: next}}
}

// pages asks for pages until limit messages have come, or all of them where that is 0. It tells whether
// there are more.
func pages(ctx context.Context, limit int, ask func(ctx context.Context, cursor string, most int) (client.Page, error), each func([]admin.Message)) (more bool, err error) {
	for n, cursor := 0, ""; ; {
		most := client.PageMost
		if limit > 0 {
			most = min(most, limit-n)
		}
		p, err := ask(ctx, cursor, most)
		if err != nil {
			return false, err
		}
		each(p.Messages)
		n += len(p.Messages)
		if cursor = p.Next; cursor == "" || limit > 0 && n >= limit {
			return cursor != "", nil
		}
	}
}

// messageList prints messages as they come.
type messageList struct {
	a      *app
	asJSON bool
	table  *table
	row    func(*admin.Message) []cell
	n      int
}

func (a *app) messageList(asJSON bool, t *table, row func(*admin.Message) []cell) *messageList {
	return &messageList{a: a, asJSON: asJSON, table: t, row: row}
}

func (l *messageList) page(messages []admin.Message) {
	for i := range messages {
		if l.asJSON {
			l.element(&messages[i])
		} else {
			l.table.add(l.row(&messages[i])...)
		}
		l.n++
	}
	if !l.asJSON && len(messages) > 0 {
		l.table.print(l.a.out, colour(l.a.out))
	}
}

// element prints one message of the API's page.
func (l *messageList) element(m *admin.Message) {
	before := ",\n"
	if l.n == 0 {
		before = "{\"messages\": [\n"
	}
	text, err := json.Marshal(m)
	if err == nil {
		fmt.Fprintf(l.a.out, "%s%s", before, text)
	}
}

// end closes the list. more tells that it could go on.
func (l *messageList) end(more bool, none string) {
	switch {
	case l.asJSON && l.n == 0:
		fmt.Fprintf(l.a.out, "{\"messages\": [], \"more\": %t}\n", more)
	case l.asJSON:
		fmt.Fprintf(l.a.out, "\n], \"more\": %t}\n", more)
	case l.n == 0 && !more:
		fmt.Fprintln(l.a.out, none)
	case more:
		fmt.Fprintf(l.a.err, "These are the first %s; there are more: --limit 0 lists all.\n", count(l.n))
	}
}
