package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/webhook-repeater/repeater/internal/bench"
)

const benchAbout = `Measure this program on this machine, so that you know what to expect of it. It starts a
repeater with a fresh store and a destination on loopback, sends requests, and prints what it
reached, beside two references: a bare net/http handler, and an httputil.ReverseProxy that
stores nothing. Senders and destination use the same processors: a repeater that has them for
itself does better. The exit status is 1 also if anything was lost or out of order.

Flags:
      --requests N       to send for each row, at most (default 50000)
      --connections N    to send over (default 64)
      --size BYTES       of each body (default 1024)
      --rate N           requests a second while latency is measured (default 1000)
      --runs N           of everything, of which medians are shown (default 3)
      --quick            one short run: 10000 requests, less than 20 s in all
      --store-dir DIR    put the file store there, to measure that disk (default: the
                         directory for temporary files)
      --redis URL        store in this Redis instead, under a prefix of its own
      --json             print JSON
  -h, --help             show this`

func (a *app) benchCommand() *cobra.Command {
	cmd := a.own("bench [flags]", "measure what it does on this machine", "bench --quick", runBench)
	cmd.Long = benchAbout
	return cmd
}

func runBench(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == bench.ReferenceCommand {
		return runReference(args[1:], stderr)
	}
	o := bench.Options{Progress: stderr}
	var quick, asJSON bool
	fl := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	fl.SetOutput(io.Discard)
	fl.IntVar(&o.Requests, "requests", 50_000, "")
	fl.IntVar(&o.Connections, "connections", 64, "")
	fl.IntVar(&o.Size, "size", 1024, "")
	fl.Float64Var(&o.Rate, "rate", 1000, "")
	fl.IntVar(&o.Runs, "runs", 3, "")
	fl.BoolVar(&quick, "quick", false, "")
	fl.StringVar(&o.StoreDir, "store-dir", "", "")
	fl.StringVar(&o.Redis, "redis", "", "")
	fl.BoolVar(&asJSON, "json", false, "")
	err := fl.Parse(doubleDashes(fl, args))
	if err == nil && fl.NArg() > 0 {
		err = fmt.Errorf("unknown argument %q", fl.Arg(0))
	}
	o.Limit, o.Steady = 30*time.Second, 5*time.Second
	if quick {
		shorten(&o, fl)
	}
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		return wrongUsage(stderr, "bench: %v; see webhook-repeater bench -h", err)
	}
	return printBench(o, asJSON, stdout, stderr)
}

// shorten makes one short run, unless a flag says otherwise.
func shorten(o *bench.Options, fl *pflag.FlagSet) {
	given := make(map[string]bool)
	fl.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	if !given["requests"] {
		o.Requests = 10_000
	}
	if !given["runs"] {
		o.Runs = 1
	}
	o.Limit, o.Steady = 1500*time.Millisecond, 1500*time.Millisecond
}

func printBench(o bench.Options, asJSON bool, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	logging.Disable() // of the Redis client: what is wrong with Redis is told once, as an error
	var err error
	if o.Program, err = os.Executable(); err != nil {
		fmt.Fprintln(stderr, "webhook-repeater:", err)
		return exitFailed
	}
	report, err := bench.Run(ctx, o)
	if err == nil && asJSON {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else if err == nil {
		err = report.Print(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "webhook-repeater: bench:", err)
		return exitFailed
	}
	if !report.OK() {
		return exitFailed
	}
	return exitOK
}

// runReference is how bench starts its references.
func runReference(args []string, stderr io.Writer) int {
	tuneGC() // as the server does
	if err := bench.Reference(args, os.Stdin, stderr); err != nil {
		fmt.Fprintln(stderr, "webhook-repeater: bench:", err)
		return exitFailed
	}
	return exitOK
}
