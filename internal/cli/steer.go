package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/client"
)

func (a *app) pauseCommand() *cobra.Command {
	return a.steerCommand(client.Pause, "pause", "", "send nothing more from a lane, until it is resumed",
		`Send nothing more from a lane, until it is resumed, also across restarts.
Requests are still accepted, and what waits does not age. Attempts in flight are finished.`)
}

func (a *app) resumeCommand() *cobra.Command {
	return a.steerCommand(client.Resume, "resume", "", "resume a paused lane",
		"Resume a paused lane. A lane that is not paused is left alone.")
}

func (a *app) retryCommand() *cobra.Command {
	return a.steerCommand(client.RetryNow, "retry", "", "retry a failing destination now",
		"Retry a failing destination now, instead of at the end of its pause.")
}

func (a *app) dropRefusedCommand() *cobra.Command {
	return a.steerCommand(client.DropRefused, "drop-refused",
		" Until its next delivery, each message that it refuses becomes a dead letter.", "make dead letters of what a destination refuses",
		`Resume a lane that is paused because its destination refuses one message after the other: until the
next delivery, each message that is refused becomes a dead letter at once. Nothing is deleted.`)
}

// steerCommand makes the command of an order; then is what it says behind the lane's state.
func (a *app) steerCommand(order client.Order, name, then, short, long string) *cobra.Command {
	var c connection
	var asJSON bool
	cmd := &cobra.Command{
		Use: name + " LANE", Short: short, Long: long + "\nLANE is as for webhook-repeater lanes.",
		Example:           "  webhook-repeater " + name + " http://jira.intranet:8080",
		Args:              exactly(1, "one LANE; webhook-repeater lanes lists them"),
		ValidArgsFunction: a.completeOneLane(&c),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.dial()
			if err != nil {
				return err
			}
			l, err := findLane(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if l, err = cl.Steer(cmd.Context(), order, l.Name); err != nil {
				return err
			}
			if asJSON {
				return a.json(l)
			}
			fmt.Fprintf(a.out, "%s is %s. %s%s\n", clean(l.Name), stateStyle(l.State).paint(string(l.State), colour(a.out)), clean(l.Why), then)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the lane as the API returns it")
	c.flags(cmd)
	return cmd
}
