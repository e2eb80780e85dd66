package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater"
)

func (a *app) repairCommand() *cobra.Command {
	cmd := a.own("repair FILE", "save what can be read of a damaged store into FILE.repaired", "repair damaged.db", runRepair)
	cmd.Long = `Save what can be read of a damaged store into FILE.repaired, and list what is lost. FILE is not changed.
The exit status is 0 also if messages were lost; it is 1 if nothing could be saved.

Flags:
  -h, --help   show this`
	return cmd
}

// runRepair saves what can be read of a damaged store into a new file beside it.
func runRepair(args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("repair", flag.ContinueOnError)
	fl.SetOutput(io.Discard)
	if err := fl.Parse(args); err != nil || fl.NArg() != 1 {
		return wrongUsage(stderr, "repair needs one FILE; see webhook-repeater repair -h")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	damaged := fl.Arg(0)
	fresh := damaged + ".repaired"
	r, err := repeater.RepairFile(ctx, damaged, fresh)
	if err != nil {
		fmt.Fprintf(stderr, "webhook-repeater: %s\n", explainRepair(err, damaged, fresh))
		return exitFailed
	}
	for _, d := range r.Damage {
		fmt.Fprintf(stdout, "damaged: %s\n", d)
	}
	for _, k := range r.Lost {
		fmt.Fprintf(stdout, "lost: message %s\n", k)
	}
	if r.Unnamed > 0 {
		fmt.Fprintf(stdout, "lanes without a name: %d\n", r.Unnamed)
	}
	if len(r.Damage) > 0 && r.Waiting+r.Dead+len(r.Lost) == 0 {
		_ = os.Remove(fresh) // whoever named a wrong file is not to put an empty store in its place
		fmt.Fprintf(stderr, "webhook-repeater: nothing was found in %s; look whether it is the store file at all\n", damaged)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s has %s and %s; lost: %s\n", fresh,
		plural(r.Waiting, "message", "messages"), letters(r.Dead), count(len(r.Lost)))
	fmt.Fprintf(stdout, "Keep %s, and give %s its name before the next start.\n", damaged, fresh)
	return exitOK
}

func explainRepair(err error, damaged, fresh string) string {
	switch {
	case errors.Is(err, repeater.ErrLocked):
		return damaged + " is in use; stop the server that uses it first"
	case errors.Is(err, fs.ErrExist):
		return fresh + " is there already, as of an earlier repair; move it away first"
	}
	return err.Error()
}
