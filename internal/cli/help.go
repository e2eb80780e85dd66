package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

const serverUsage = `Usage:
  webhook-repeater [-c FILE] [--watch] [-H HOST] [-p PORT]    run as FILE says
  webhook-repeater --to URL [-H HOST] [-p PORT]               run without a file: forward every request to URL
  webhook-repeater COMMAND ...                                talk to one that runs, and more
`

const serverFlags = `
Flags without a command:
  -c, --config FILE   configuration (default ./config.ini)
  -H, --host HOST     address to listen on (default 0.0.0.0); overrides FILE
  -p, --port PORT     port to listen on (default 8100); overrides FILE
      --to URL        forward every request, with its path, to http://HOST:PORT;
                      requests wait in webhook-repeater.db in this directory
      --watch         load FILE again whenever it changes; SIGHUP loads it again in any case
  -h, --help          show this
      --version       print the version

Exit status: 0 after a clean stop, 1 if it could not start or failed, 78 for a mistake in flags or FILE,
128 and the signal's number if a second signal ended it before the stop was complete.
webhook-repeater help COMMAND describes one.
`

// usage is what -h prints.
func usage() string {
	a := &app{}
	return a.usage(a.root())
}

func (a *app) usage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(serverUsage)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s\n", g.title)
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.id {
				fmt.Fprintf(&b, "  %-14s  %s\n", cmd.Name(), cmd.Short)
			}
		}
	}
	b.WriteString(serverFlags)
	return b.String()
}

// help prints what -h and help COMMAND show.
func (a *app) help(cmd *cobra.Command, _ []string) {
	if !cmd.HasParent() {
		fmt.Fprint(a.out, a.usage(cmd))
		return
	}
	fmt.Fprint(a.out, helpText(cmd))
}

// optional is a flag whose value may be left out, as pflag tells it: as though a space could stand before the value.
var optional = regexp.MustCompile(`--([a-z-]+) ([A-Z]+)\[=[^]]*\]`)

func joined(usages string) string {
	return optional.ReplaceAllStringFunc(usages, func(m string) string {
		return fmt.Sprintf("%-*s", len(m), optional.ReplaceAllString(m, "--$1[=$2]"))
	})
}

func helpText(cmd *cobra.Command) string {
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	}
	text, own, _ := strings.Cut(text, "\n\nFlags:\n") // of a command that reads its flags itself
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s\n", text, cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if flags := cmd.LocalFlags(); own != "" {
		fmt.Fprintf(&b, "\nFlags:\n%s\n", own)
	} else if flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", joined(flags.FlagUsages()))
	}
	return b.String()
}

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "describe a command", Args: atMost(1), DisableFlagsInUseLine: true,
		Example: "  webhook-repeater help replay",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && !c.Hidden {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Root().Help()
			}
			for _, c := range cmd.Root().Commands() {
				if c.Name() == args[0] {
					return c.Help()
				}
			}
			return misuse{unknownCommand(cmd.Root(), args[0])}
		},
	}
}
