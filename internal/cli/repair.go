package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/webhook-repeater/repeater"
)

// runRepair saves what can be read of a damaged store into a new file beside it.
func runRepair(args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("repair", flag.ContinueOnError)
	fl.SetOutput(io.Discard)
	if err := fl.Parse(args); err != nil || fl.NArg() != 1 {
		return wrongUsage(stderr, "repair needs one FILE; see webhook-repeater -h")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	damaged := fl.Arg(0)
	fresh := damaged + ".repaired"
	r, err := repeater.RepairFile(ctx, damaged, fresh)
	if err != nil {
		fmt.Fprintf(stderr, "webhook-repeater: %v\n", err)
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
	fmt.Fprintf(stdout, "%s has %d messages and %d dead letters; %d are lost\n", fresh, r.Waiting, r.Dead, len(r.Lost))
	fmt.Fprintf(stdout, "Keep %s, and give %s its name before the next start.\n", damaged, fresh)
	return exitOK
}
