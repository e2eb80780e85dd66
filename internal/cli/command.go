package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is what all commands share.
type app struct {
	in       *os.File
	out, err io.Writer
	now      func() time.Time
}

// group is a heading in the list of commands.
type group struct{ id, title string }

var groups = []group{
	{"look", "See what waits, where and why:"},
	{"act", "Act on it:"},
	{"more", "More:"},
}

// Help lists commands in the order of use, not of the alphabet.
func init() { cobra.EnableCommandSorting = false }

// commands is all that the program can do besides serving, in the order in which help lists it.
func (a *app) commands() map[string][]*cobra.Command {
	return map[string][]*cobra.Command{
		"look": {a.statusCommand(), a.lanesCommand(), a.messagesCommand(), a.deadCommand(), a.explainCommand()},
		"act": {a.pauseCommand(), a.resumeCommand(), a.retryCommand(), a.dropRefusedCommand(),
			a.replayCommand(), a.dropCommand(), a.sendCommand()},
		"more": {
			a.checkCommand(),
			a.repairCommand(),
			a.benchCommand(),
			a.demoCommand(),
			a.own("version", "print the version", "version", runVersion),
			a.completionCommand(), a.helpCommand(),
		},
	}
}

// own is a command that reads its arguments itself.
func (a *app) own(use, short, example string, main func(args []string, stdout, stderr io.Writer) int) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  webhook-repeater " + example, DisableFlagParsing: true, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.ContainsFunc(args, func(s string) bool { return s == "-h" || s == "--help" || s == "-help" || s == "--h" }) {
				return cmd.Help()
			}
			if code := main(args, a.out, a.err); code != exitOK {
				return exit(code)
			}
			return nil
		},
	}
}

// exit is an exit status of which all has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// misuse is a mistake in flags or arguments.
type misuse struct{ text string }

func (m misuse) Error() string { return m.text }

func misused(format string, args ...any) error { return misuse{fmt.Sprintf(format, args...)} }

// root has no flags of its own: what begins with one is for the server.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{Use: "webhook-repeater", SilenceErrors: true, SilenceUsage: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetHelpFunc(a.help)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err.Error()} })
	all := a.commands()
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, cmd := range all[g.id] {
			cmd.GroupID = g.id
			cmd.Flags().SortFlags = false
			cmd.Flags().BoolP("help", "h", false, "show this")
			root.AddCommand(cmd)
			if cmd.Name() == "help" {
				root.SetHelpCommand(cmd)
			}
		}
	}
	return root
}

// runCommand runs what the first argument names.
func runCommand(args []string, stdout, stderr io.Writer) int {
	a := &app{in: os.Stdin, out: stdout, err: stderr, now: time.Now}
	root := a.root()
	completing := args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd
	cmd, rest, err := root.Find(args)
	if !completing {
		if err != nil || cmd == root {
			return wrongUsage(stderr, "%s; see webhook-repeater -h", unknownCommand(root, args[0]))
		}
		args = append([]string{cmd.Name()}, doubleDashes(cmd.Flags(), rest)...)
	}
	root.SetArgs(args)
	if cmd.DisableFlagParsing { // it minds signals itself, too
		return a.code(cmd.Name(), root.Execute())
	}
	// The first signal ends what can end in order, the second one ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return a.code(cmd.Name(), root.ExecuteContext(ctx))
}

// code tells an error in its line, and returns the exit status that stands for it.
func (a *app) code(command string, err error) int {
	var status exit
	var wrong misuse
	var mistake fileMistake
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &wrong):
		return wrongUsage(a.err, "%s: %v; see webhook-repeater %s -h", command, wrong, command)
	case errors.As(err, &mistake):
		fmt.Fprintln(a.err, mistake)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.err, "webhook-repeater: interrupted")
		return exitFailed
	}
	fmt.Fprintf(a.err, "webhook-repeater: %v\n", clean(err.Error()))
	return exitFailed
}

func unknownCommand(root *cobra.Command, name string) string {
	text := fmt.Sprintf("unknown argument %q", name)
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		text += fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return text
}

// doubleDashes lets long flags have one dash, as those of the server may.
func doubleDashes(flags *pflag.FlagSet, args []string) []string {
	out := slices.Clone(args)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && len(name) > 1 && flags.Lookup(name) != nil {
			out[i] = "-" + arg
		}
	}
	return out
}

// exactly takes n arguments, and says which.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return misused("name %s", what)
		case len(args) > n:
			return misused("unknown argument %q", args[n])
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return misused("unknown argument %q", args[n])
		}
		return nil
	}
}
