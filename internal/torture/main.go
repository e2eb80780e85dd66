//go:build linux

// Torture runs the real program, with real files, sockets and servers, and does to it and to what it
// depends on whatever may happen to them, again and again, in an order that follows from a seed. At
// the end of each scenario everything is well again, and all that was acknowledged must have
// arrived, whole and in order.
//
//	go run ./internal/torture -quick                 two minutes
//	go run ./internal/torture -long                  twenty minutes
//	go run ./internal/torture -seed 7 -only redis-kill,redis-proxy
//	go run ./internal/torture -soak 20m -rate 500    does anything grow?
//
// It ends with status 1 if anything was lost, or any other promise broken. Redis scenarios need a
// redis-server on the PATH, and file-disk needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// claimTTL is how long the claim of a process lives after it has died.
const claimTTL = 15 * time.Second

type scenario struct {
	name   string
	play   func(*scene)
	cycles int // of a quick run
}

// The longest come first.
var scenarios = []scenario{
	{"redis-share", redisShare, 8},
	{"redis-kill", redisKill, 25},
	{"file-limit", fileLimit, 18},
	{"file-disk", fileDisk, 18},
	{"redis-failover", redisFailover, 15},
	{"file-stop", fileStop, 22},
	{"file-kill", fileKill, 50},
	{"redis-pause", redisPause, 14},
	{"redis-proxy", redisProxy, 25},
}

// result is a row of the table.
type result struct {
	name                               string
	cycles, promised, lost, duplicates int
	longest                            time.Duration
	note                               string
	faults                             []string
}

func main() { os.Exit(run()) }

func run() int {
	quick := flag.Bool("quick", false, "the least that proves something (the default)")
	long := flag.Bool("long", false, "many more cycles")
	seed := flag.Uint64("seed", rand.Uint64N(1_000_000), "what all random choices follow from") // #nosec G404 -- a seed to be told, not a secret
	only := flag.String("only", "", "play these scenarios, with commas between")
	together := flag.Int("together", 3, "so many scenarios at a time")
	soakFor := flag.Duration("soak", 0, "no scenarios: send for so long at an even rate, and see whether anything grows")
	rate := flag.Int("rate", 500, "requests a second of -soak")
	flag.Parse()
	chosen, err := choose(*only)
	switch {
	case err == nil && *quick && *long:
		err = errors.New("-quick and -long are two: choose one")
	case err == nil && flag.NArg() > 0:
		err = fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 2
	}
	done, err := proctest.Begin()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 2
	}
	defer done()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *soakFor > 0 {
		return soak(ctx, *soakFor, *rate)
	}
	times := 1
	if *long {
		times = 10
	}
	began := time.Now()
	results := playAll(ctx, chosen, *seed, times, *together)
	fmt.Printf("seed %d, %v\n", *seed, time.Since(began).Round(time.Second))
	return report(os.Stdout, results)
}

func choose(only string) ([]scenario, error) {
	if only == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

func playAll(ctx context.Context, chosen []scenario, seed uint64, times, together int) []result {
	results := make([]result, len(chosen))
	room := make(chan struct{}, max(1, together))
	var wg sync.WaitGroup
	for i, sc := range chosen {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			began := time.Now()
			results[i] = play(ctx, sc, seed, times)
			fmt.Fprintln(os.Stderr, results[i].progress(time.Since(began).Round(time.Second)))
		})
	}
	wg.Wait()
	return results
}

func play(ctx context.Context, sc scenario, seed uint64, times int) result {
	r := result{name: sc.name}
	var s *scene
	st := perform(ctx, sc.name, func(st *stage) {
		s = newScene(st, seed, times*sc.cycles)
		sc.play(s)
	})
	r.faults = st.Faults()
	if ctx.Err() != nil {
		r.faults = append(r.faults, "called off")
	}
	if s == nil {
		return r
	}
	r.cycles, r.longest, r.note = s.played, s.longest, s.note
	for _, l := range s.lanes {
		c := l.dest.Ledger.Counts()
		r.promised += c.Promised
		r.lost += c.Owed
		r.duplicates += c.Repeated
	}
	return r
}

// report prints the table, and what was wrong below it.
func report(w io.Writer, results []result) int {
	code := 0
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "scenario\tcycles\tacknowledged\tlost\tduplicates\tlongest restart\t\t")
	var all result
	for _, r := range results {
		verdict := r.note
		if len(r.faults) > 0 {
			verdict, code = "FAILED", 1
		}
		r.print(tw, verdict)
		all.cycles += r.cycles
		all.promised += r.promised
		all.lost += r.lost
		all.duplicates += r.duplicates
		all.longest = max(all.longest, r.longest)
	}
	all.name = "all"
	all.print(tw, "")
	_ = tw.Flush()
	for _, r := range results {
		for _, f := range r.faults {
			fmt.Fprintf(w, "%s: %s\n", r.name, f)
		}
	}
	return code
}

// progress is the line about a scenario that is over, while others are still played.
func (r result) progress(took time.Duration) string {
	switch {
	case len(r.faults) > 0:
		return fmt.Sprintf("%s: FAILED after %d cycles in %v: %s", r.name, r.cycles, took, r.faults[0])
	case r.note != "":
		return fmt.Sprintf("%s: %s", r.name, r.note)
	}
	return fmt.Sprintf("%s: well after %d cycles in %v: %d acknowledged, %d lost", r.name, r.cycles, took, r.promised, r.lost)
}

func (r result) print(w io.Writer, verdict string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%v\t%s\t\n", r.name, r.cycles, r.promised, r.lost, r.duplicates, r.longest.Round(time.Millisecond), verdict)
}
