package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
)

func (a *app) explainCommand() *cobra.Command {
	var c connection
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain ID", Short: "show the story of a request: what happened, and what happens next",
		Args: exactly(1, "one ID, as the sender has got it in the header Repeater-Id"),
		Long: `Show the story of an accepted request: each attempt to deliver it, what happens next, and which command
helps. ID is what its sender got in the header Repeater-Id, or the key of one of its messages.
What was delivered is no longer stored, and has no story.`,
		Example: `  webhook-repeater explain 33lik262mpis6tcbagamevpgl0
  webhook-repeater explain 33lik262mpis6tcbagamevpgl0.0 --json`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.dial()
			if err != nil {
				return err
			}
			messages, err := cl.Explain(cmd.Context(), args[0])
			if client.IsNotFound(err) {
				return fmt.Errorf("no message of %q is stored: either all have been delivered or dropped, or it was not accepted here", args[0])
			}
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(map[string][]admin.Message{"messages": messages})
			}
			for i := range messages {
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				if err := a.tellStory(cmd.Context(), cl, &messages[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the API returns")
	c.flags(cmd)
	return cmd
}

func (a *app) tellStory(ctx context.Context, cl *client.Client, m *admin.Message) error {
	c := colour(a.out)
	lane, err := cl.Lane(ctx, m.Lane)
	if err != nil && !client.IsNotFound(err) {
		return err
	}
	fmt.Fprintf(a.out, "%s  %s\n", bold.paint(clean(key(m)), c), statusStyle(m.Status).paint(string(m.Status), c))
	fmt.Fprintf(a.out, "  Route %s, to %s, %s.\n\n", clean(m.Route), clean(m.Lane), bytesOf(m.Size))
	t := table{columns: make([]column, 3), headed: true}
	t.add(cell{text: "  " + clock(m.Received)}, cell{text: "accepted"}, cell{a.ago(m.Received), dim})
	number := numbering(m)
	for i := range m.History {
		if i > 0 && number(i) > number(i-1)+1 {
			t.add(cell{}, cell{}, cell{fmt.Sprintf("(%s not kept)", plural(number(i)-number(i-1)-1, "attempt is", "attempts are")), dim})
		}
		at := &m.History[i]
		result := cell{outcome(at) + " after " + took(at.Took), red}
		if at.Status/100 == 2 {
			result.style = green
		}
		t.add(cell{text: "  " + clock(at.At)}, cell{text: fmt.Sprintf("attempt %d", number(i))}, result)
	}
	if m.Died != nil {
		t.add(cell{text: "  " + clock(*m.Died)}, cell{text: "gave up"}, cell{m.Reason, red})
	}
	t.print(a.out, c)
	if m.Answer != "" {
		fmt.Fprintf(a.out, "\n  Its last answer began:\n    %s\n", clean(strings.TrimSpace(m.Answer)))
	}
	fmt.Fprintf(a.out, "\n  %s\n", clean(m.Next))
	if m.Expires != nil && m.Status != admin.Dead {
		fmt.Fprintf(a.out, "  It is given up on %s, %s.\n", clock(*m.Expires), a.until(m.Expires))
	}
	if len(messageRemedies(m, &lane)) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, r := range messageRemedies(m, &lane) {
		a.remedy(r)
	}
	return nil
}

// numbering numbers the attempts that are kept: of a long series those in the middle are not.
func numbering(m *admin.Message) func(i int) int {
	const first = 3 // so many of the first ones are kept
	gap := max(0, m.Attempts-len(m.History))
	return func(i int) int {
		if i < first {
			return i + 1
		}
		return i + 1 + gap
	}
}

func statusStyle(s admin.Status) style {
	switch s {
	case admin.Dead:
		return red
	case admin.InHand:
		return green
	}
	return yellow
}

// messageRemedies are the commands that set right what holds a message up.
func messageRemedies(m *admin.Message, l *admin.Lane) []remedy {
	switch m.Status {
	case admin.Dead:
		return []remedy{{"Try it again", "replay " + shellWord(key(m))}, {"Delete it for good", "drop " + shellWord(key(m))}}
	case admin.Waiting, admin.HeldBack:
		return remedies(l)
	}
	return nil
}
