// Reqdumper is a destination to look at: it prints every request it gets. It can
// fail or be slow on demand, to watch how a sender takes that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/webhook-repeater/repeater/internal/reqdump"
)

const usage = `Usage: reqdumper [flags]
Prints every HTTP request it gets, and answers 200 OK.

  -H, --host HOST     address to listen on (default 0.0.0.0)
  -p, --port PORT     port to listen on (default 8989)
  -o, --output FILE   append to FILE (default: standard output)
      --status CODE   answer with CODE instead of 200
      --delay TIME    wait so long before each answer, as 2, 2s or 500ms
      --fail-first N  answer only the first N requests with CODE (default 503), later ones with 200
  -h, --help          show this
`

type options struct {
	host, output string
	port         int
	handler      reqdump.Handler
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	err := o.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "reqdumper: %v; see reqdumper -h\n", err)
		return 2
	}
	o.handler.Out = stdout
	if o.output != "" {
		f, err := os.OpenFile(o.output, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			fmt.Fprintf(stderr, "reqdumper: %v\n", err)
			return 1
		}
		defer f.Close()
		o.handler.Out = f
	}
	if err := serve(&o, stderr); err != nil {
		fmt.Fprintf(stderr, "reqdumper: %v\n", err)
		return 1
	}
	return 0
}

func (o *options) parse(args []string) error {
	fl := flag.NewFlagSet("reqdumper", flag.ContinueOnError)
	fl.SetOutput(io.Discard)
	for _, name := range []string{"H", "host"} {
		fl.StringVar(&o.host, name, "0.0.0.0", "")
	}
	for _, name := range []string{"p", "port"} {
		fl.IntVar(&o.port, name, 8989, "")
	}
	for _, name := range []string{"o", "output"} {
		fl.StringVar(&o.output, name, "", "")
	}
	fl.IntVar(&o.handler.Status, "status", 0, "")
	fl.Func("delay", "", func(v string) error {
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			v += "s"
		}
		d, err := time.ParseDuration(v)
		o.handler.Delay = d
		return err
	})
	fl.IntVar(&o.handler.FailFirst, "fail-first", 0, "")
	if err := fl.Parse(args); err != nil {
		return err
	}
	h := &o.handler
	switch {
	case fl.NArg() > 0:
		return fmt.Errorf("unknown argument %q", fl.Arg(0))
	case o.port < 0 || o.port > 65535:
		return fmt.Errorf("port %d is not possible", o.port)
	case h.Status != 0 && (h.Status < 200 || h.Status > 599):
		return fmt.Errorf("status %d is not possible", h.Status)
	case h.Delay < 0 || h.FailFirst < 0:
		return errors.New("--delay and --fail-first must not be negative")
	}
	return nil
}

func serve(o *options, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	network := "tcp"
	if a, err := netip.ParseAddr(o.host); err == nil && a.Is4() {
		network = "tcp4" // net takes 0.0.0.0 for all addresses, those of IPv6 too
	}
	ln, err := net.Listen(network, net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "reqdumper: listening on %s\n", ln.Addr())
	srv := &http.Server{Handler: &o.handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop() // a second signal ends the process at once
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // the grace is over
	}
	return nil
}
