package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// completePatience is how long whoever has pressed the tab key is kept waiting.
const completePatience = time.Second

// completeLanes offers the lanes of the server that the flags so far mean, if it answers.
func (a *app) completeLanes(c *connection) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completePatience)
		defer cancel()
		cl, err := c.dial()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		lanes, err := cl.Lanes(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := make([]string, len(lanes))
		for i := range lanes {
			names[i] = cobra.CompletionWithDesc(clean(lanes[i].Name), fmt.Sprintf("%s, %s", lanes[i].State, plural(lanes[i].Waiting, "waits", "wait")))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeOneLane is for commands that take one.
func (a *app) completeOneLane(c *connection) cobra.CompletionFunc {
	lanes := a.completeLanes(c)
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return lanes(cmd, args, begun)
	}
}

func (a *app) completionCommand() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  (*cobra.Command).GenZshCompletion,
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use: "completion bash|zsh|fish", Short: "print a script that completes commands, flags and lanes in a shell",
		Long: `Print a script that completes commands, flags and, where the server answers, the names of lanes.

For bash, which needs the package bash-completion, add to ~/.bashrc:
  source <(webhook-repeater completion bash)
For zsh, write it into a folder of $fpath:
  webhook-repeater completion zsh > "${fpath[1]}/_webhook-repeater"
For fish:
  webhook-repeater completion fish > ~/.config/fish/completions/webhook-repeater.fish`,
		Example: `  webhook-repeater completion bash
  webhook-repeater completion zsh
  webhook-repeater completion fish`,
		ValidArgs: []string{"bash", "zsh", "fish"}, DisableFlagsInUseLine: true,
		Args: exactly(1, "a shell: bash, zsh or fish"),
		RunE: func(cmd *cobra.Command, args []string) error {
			generate := shells[args[0]]
			if generate == nil {
				return misused("%q is not bash, zsh or fish", args[0])
			}
			return generate(cmd.Root(), a.out)
		},
	}
}
