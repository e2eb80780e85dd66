// Package cli is the program webhook-repeater: flags and files in, a running
// server out.
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
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/config"
	"github.com/webhook-repeater/repeater/internal/demo"
)

// What the program ends with. A second signal ends it with 128 and the
// signal's number, as a shell would report it.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // flags or file are wrong, and nothing has been started
	// exitConfig is that of the server: 2 is also how Go ends a program that panics, and whoever
	// starts it again must tell the two apart.
	exitConfig = 78
)

const defaultConfig = "config.ini"

// Main runs the program and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		code := runServe(args, stdout, stderr)
		if code == exitUsage {
			code = exitConfig
		}
		return code
	}
	return runCommand(args, stdout, stderr)
}

// parse reads flags. With done, the program ends with code.
func parse(fl *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, done bool) {
	fl.SetOutput(io.Discard)
	err := fl.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage())
		return exitOK, true
	case err == nil && fl.NArg() > 0:
		err = fmt.Errorf("unknown argument %q%s", fl.Arg(0), commandFirst(fl.Arg(0)))
	}
	if err != nil {
		return wrongUsage(stderr, "%v; see webhook-repeater -h", err), true
	}
	return 0, false
}

// commandFirst helps whoever has written a command behind flags.
func commandFirst(name string) string {
	for _, cmd := range (&app{}).root().Commands() {
		if cmd.Name() == name {
			return ", as a command stands first: webhook-repeater " + name + " ..."
		}
	}
	return ""
}

func wrongUsage(stderr io.Writer, format string, args ...any) int {
	fmt.Fprintf(stderr, "webhook-repeater: "+format+"\n", args...)
	return exitUsage
}

func (a *app) demoCommand() *cobra.Command {
	cmd := a.own("demo [--verbose]", "show how nothing is lost, in a few seconds", "demo", runDemo)
	cmd.Long = `Show how nothing is lost, in a few seconds: a destination goes down, webhooks come in, and when it is back
they arrive. The server and the destination are on this machine, and leave nothing behind.

Flags:
      --verbose   show what the server logs, too
  -h, --help      show this`
	return cmd
}

func runDemo(args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("demo", flag.ContinueOnError)
	verbose := fl.Bool("verbose", false, "")
	if code, done := parse(fl, args, stdout, stderr); done {
		return code
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if !demo.Run(ctx, stdout, demo.Options{Log: demoLog(*verbose, stderr), Colour: colour(stdout)}) {
		return exitFailed
	}
	return exitOK
}

func runVersion(args []string, stdout, stderr io.Writer) int {
	if code, done := parse(flag.NewFlagSet("version", flag.ContinueOnError), args, stdout, stderr); done {
		return code
	}
	fmt.Fprintln(stdout, version())
	return exitOK
}

// runServe reads flags and file, and serves.
func runServe(args []string, stdout, stderr io.Writer) int {
	var file, host, to string
	var port int
	var watch, showVersion bool
	fl := flag.NewFlagSet("webhook-repeater", flag.ContinueOnError)
	fl.StringVar(&file, "c", "", "")
	fl.StringVar(&file, "config", "", "")
	fl.StringVar(&host, "H", "", "")
	fl.StringVar(&host, "host", "", "")
	fl.IntVar(&port, "p", 0, "")
	fl.IntVar(&port, "port", 0, "")
	fl.StringVar(&to, "to", "", "")
	fl.BoolVar(&watch, "watch", false, "")
	fl.BoolVar(&showVersion, "version", false, "")
	if code, done := parse(fl, args, stdout, stderr); done {
		return code
	}
	if showVersion {
		fmt.Fprintln(stdout, version())
		return exitOK
	}
	given := make(map[string]bool)
	fl.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if watch && given["to"] {
		return wrongUsage(stderr, "--watch needs a file, and --to works without one; give one of the two")
	}
	src, err := sourceOf(file, to, given["c"] || given["config"], given["to"])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	src.watch = watch
	if given["H"] || given["host"] {
		parsed, err := config.ParseHost(host)
		if err != nil {
			return wrongUsage(stderr, "--host %q %v", host, err)
		}
		host = parsed
	}
	if given["p"] || given["port"] {
		if port < 0 || port > 65535 {
			return wrongUsage(stderr, "--port %d is not possible; choose a number from 0 to 65535", port)
		}
	} else {
		port = -1
	}
	src.override(host, port)
	s, err := src.load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	return serve(s, src, stderr)
}

// override lets flags go before what is loaded: a host unless it is "", and a port unless it is negative.
func (s *source) override(host string, port int) {
	load := s.load
	s.load = func() (*config.Settings, error) {
		loaded, err := load()
		if err != nil {
			return nil, err
		}
		if host != "" {
			loaded.Host = host
		}
		if port >= 0 {
			loaded.Port = port
		}
		return loaded, nil
	}
}

// sourceOf is a file or --to, never both: which of the two would win could only be guessed.
func sourceOf(file, to string, withFile, withTo bool) (source, error) {
	switch {
	case withFile && withTo:
		return source{}, errors.New("webhook-repeater: --to works without a file; give either --to or --config")
	case withTo:
		return source{load: func() (*config.Settings, error) {
			s, err := config.ForTarget(to)
			if err != nil {
				return nil, fmt.Errorf("webhook-repeater: --to %w", err)
			}
			return s, nil
		}}, nil
	case !withFile:
		file = defaultConfig
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return source{}, errNoConfig
		}
	}
	w := &watcher{file: file}
	return source{file: file, watcher: w, load: func() (*config.Settings, error) {
		w.reads()
		return config.Load(file)
	}}, nil
}

var errNoConfig = errors.New(`webhook-repeater: there is no config.ini in this directory. Either write one:

    [hook:jira]
    src_path = /jira
    dst_host = http://jira.intranet:8080

and start webhook-repeater again (or name a file elsewhere: webhook-repeater -c FILE),
or forward everything to one destination without any file:

    webhook-repeater --to http://127.0.0.1:8989

To see it work first: webhook-repeater demo`)
