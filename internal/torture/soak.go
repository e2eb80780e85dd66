//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
	"github.com/webhook-repeater/repeater/internal/witness"
)

// sample is what the process has taken of the machine.
type sample struct {
	memory, heap, goroutines, descriptors, threads, file int64
}

const (
	samplesAQuarter = 75
	flapsAQuarter   = 5 // of each, the destination is down for a sixth
)

// soak sends at an even rate while the destination comes and goes in the same rhythm, and compares
// the second quarter of the time with the last. The first is for caches to fill and the
// file to reach the size of the largest backlog.
func soak(ctx context.Context, d time.Duration, rate int) int {
	var samples []sample
	var counts witness.Counts
	st := perform(ctx, "soak", func(st *stage) {
		s := &scene{stage: st, dir: st.TempDir(), rnd: seeded(0, "soak")}
		s.useFile(filepath.Join(s.dir, "store.db"))
		s.addLane("single", "")
		samples = s.soak(d, rate)
		s.end()
		counts = s.lanes[0].dest.Ledger.Counts()
	})
	faults := st.Faults()
	if ctx.Err() != nil {
		faults = append(faults, "called off")
	}
	fmt.Printf("soak of %v at %d a second: %v\n", d, rate, counts)
	grown := compare(samples)
	for _, f := range append(faults, grown...) {
		fmt.Println(f)
	}
	if len(faults)+len(grown) > 0 {
		return 1
	}
	fmt.Println("flat")
	return 0
}

// soakers is how many senders share the rate: enough for a slow disk.
const soakers = 20

func (s *scene) soak(d time.Duration, rate int) []sample {
	n := &node{port: testport.Plain(s), admin: testport.Plain(s)}
	s.nodes = append(s.nodes, n)
	s.start(n)
	s.awaitAnswer(n)
	l := s.lanes[0]
	l.dest.Up(s)
	l.senders = &witness.Senders{
		Ledger: l.dest.Ledger, URLs: []string{n.url() + l.dest.Path}, Size: soakers,
		Every: time.Second * soakers / time.Duration(rate),
	}
	l.senders.Start(s)

	var samples []sample
	period := d / (4 * flapsAQuarter)
	tick := time.NewTicker(d / (4 * samplesAQuarter))
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < d; {
		if phase := time.Since(began) % period; phase > period/2 && phase < period/2+period/6 {
			l.dest.Down()
		} else {
			l.dest.Up(s)
		}
		select {
		case <-s.ctx.Done():
			return samples
		case <-tick.C:
		}
		s.alive(n)
		got, err := s.measure(n)
		if err != nil {
			s.Fatal(err)
		}
		samples = append(samples, got)
	}
	return samples
}

func (s *scene) measure(n *node) (sample, error) {
	proc := "/proc/" + strconv.Itoa(n.Pid)
	status, err := os.ReadFile(proc + "/status") // #nosec G304 -- of our own process
	descriptors, derr := os.ReadDir(proc + "/fd")
	file, ferr := os.Stat(filepath.Join(s.dir, "store.db"))
	metrics, merr := fetch("http://" + proctest.Loopback(n.admin) + "/metrics")
	if err := errors.Join(err, derr, ferr, merr); err != nil {
		return sample{}, err
	}
	return sample{
		memory: valueOf(string(status), "VmRSS:") << 10, threads: valueOf(string(status), "Threads:"),
		heap: valueOf(metrics, "go_memstats_heap_inuse_bytes"), goroutines: valueOf(metrics, "go_goroutines"),
		descriptors: int64(len(descriptors)), file: file.Size(),
	}, nil
}

func fetch(url string) (string, error) {
	resp, err := http.Get(url) // #nosec G107 -- of our own process
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(text), err
}

// valueOf is what stands behind a name at the beginning of a line; 0 if it does not.
func valueOf(text, name string) int64 {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			v, _ := strconv.ParseFloat(f[1], 64) // or the kernel is not Linux
			return int64(v)
		}
	}
	return 0
}

// measures are what must not grow: by less than a tenth, and a little for what is small.
var measures = []struct {
	name   string
	of     func(sample) int64
	little int64
}{
	{"resident memory, bytes", func(s sample) int64 { return s.memory }, 8 << 20},
	{"heap in use, bytes", func(s sample) int64 { return s.heap }, 8 << 20},
	{"goroutines", func(s sample) int64 { return s.goroutines }, 10},
	{"descriptors", func(s sample) int64 { return s.descriptors }, 5},
	{"threads", func(s sample) int64 { return s.threads }, 3},
	{"file, bytes", func(s sample) int64 { return s.file }, 1 << 20},
}

// compare prints a table, and returns what has grown.
func compare(samples []sample) (grown []string) {
	q := len(samples) / 4
	if q == 0 {
		return []string{"too short: nothing to compare"}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "median of\t1st quarter\t2nd\t3rd\t4th\t")
	for _, m := range measures {
		var at [4]int64
		for i := range at {
			at[i] = median(samples[i*q:(i+1)*q], m.of)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", m.name, at[0], at[1], at[2], at[3])
		if at[3] == 0 {
			grown = append(grown, "NOT KNOWN: "+m.name)
		}
		if at[3] > at[1]+at[1]/10+m.little {
			grown = append(grown, fmt.Sprintf("NOT FLAT: %s: %d in the second quarter, %d in the last", m.name, at[1], at[3]))
		}
	}
	_ = w.Flush()
	return grown
}

func median(samples []sample, of func(sample) int64) int64 {
	all := make([]int64, len(samples))
	for i, s := range samples {
		all[i] = of(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
