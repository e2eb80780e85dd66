//go:build unix

package crashtest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/redistest"
	"github.com/webhook-repeater/repeater/internal/testport"
	"github.com/webhook-repeater/repeater/internal/witness"
)

const (
	laneCount    = 20
	lettersALane = 1000
	processCount = 3
	claimTTL     = 15 * time.Second
	senderPause  = 35 * time.Millisecond // so that senders are busy during both faults
	// What a lane may deliver again after a fault: outcomes that the store has not heard of.
	mostRepeated = 64
)

// TestThreeProcesses lets three processes share one Redis and 20 lanes. One is killed under load, and one is
// stopped for longer than a claim lives, and continued: its late settlements must change
// nothing. Each lane keeps its order, and nothing is lost.
func TestThreeProcesses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var lanes []*witness.Destination
	for n := range laneCount {
		d := witness.NewDestination(t, witness.NewLedger())
		d.Path = fmt.Sprintf("/lane%d", n)
		d.Up(t)
		lanes = append(lanes, d)
	}
	var processes []process
	var urls []string
	for range processCount {
		port := testport.Plain(t)
		processes = append(processes, startShared(t, port, server.Addr(), lanes))
		urls = append(urls, "http://"+proctest.Loopback(port))
	}
	for _, url := range urls {
		awaitServing(t, url)
	}

	sent, finished := sendToLanes(lanes, urls)
	awaitSent(t, sent, laneCount*lettersALane/4)
	processes[0].Kill()
	afterKill := awaitMoving(t, lanes)
	processes[1].Signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	afterStop := awaitMoving(t, lanes)
	time.Sleep(claimTTL + time.Second - time.Since(stopped)) // the stopped one's claims are surely over
	processes[1].Signal(t, syscall.SIGCONT)

	finished.Wait()
	for _, d := range lanes {
		d.Ledger.Settle(t, 2*patience)
		if n := d.Ledger.Counts().Repeated; n > 2*mostRepeated {
			t.Errorf("%s: %d deliveries repeated, want no more than %d a fault", d.Path, n, mostRepeated)
		}
	}
	for _, p := range processes[1:] {
		p.stop(t)
	}
	left := repeater.New(repeater.WithRedis(server.Client(t)), repeater.Route("/", "http://127.0.0.1"))
	infos, err := left.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		t.Errorf("left in the store: %+v", info)
	}
	t.Logf("lanes moved again %v after the kill, and %v after the stop\n%s",
		afterKill.Round(time.Millisecond), afterStop.Round(time.Millisecond), laneTable(lanes))
}

// awaitMoving waits until each lane delivers again, and says how long that took. It must
// not be longer than a dead claim lives, and a second; the machine gets some time for itself.
func awaitMoving(t *testing.T, lanes []*witness.Destination) time.Duration {
	t.Helper()
	const own = 3 * time.Second
	began := time.Now()
	before := make([]int, len(lanes))
	for i, d := range lanes {
		before[i] = d.Ledger.Counts().Arrived
	}
	for i, d := range lanes {
		if !d.Ledger.Await(claimTTL+time.Second+own-time.Since(began), func(c witness.Counts) bool { return c.Arrived > before[i]+1 }) {
			t.Fatalf("%s has not moved %v after a process was lost", d.Path, time.Since(began))
		}
	}
	return time.Since(began)
}

// startShared runs the program with a hook for each lane.
func startShared(t *testing.T, port int, redis string, lanes []*witness.Destination) process {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, "[server]\nhost = 127.0.0.1\nport = %d\n[app]\nbackoff_timeout = 100ms\nbackoff_max_timeout = 500ms\n", port)
	fmt.Fprintf(&b, "[store]\nredis_url = redis://%s/0\n[log]\nlevel = error\nformat = text\n", redis)
	for n, d := range lanes {
		fmt.Fprintf(&b, "[hook:lane%d]\nsrc_path = %s\ndst_host = http://%s\n", n, d.Path, d.Addr)
	}
	name := filepath.Join(dir, "config.ini")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return process{proctest.Start(t, dir, proctest.Program(t, "webhook-repeater"), "-c", name)}
}

// awaitServing waits until somebody answers at all.
func awaitServing(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(url + "/nobody"); err == nil {
			_ = resp.Body.Close()
			return
		}
	}
	t.Fatalf("nobody serves %s", url)
}

// sendToLanes sends to each lane, one request after the other, from a sender of its own that goes to the
// next process when one does not answer.
func sendToLanes(lanes []*witness.Destination, urls []string) (*atomic.Int64, *sync.WaitGroup) {
	sent, finished := new(atomic.Int64), new(sync.WaitGroup)
	for n, d := range lanes {
		finished.Go(func() {
			client := witness.NewClient()
			client.Timeout = time.Second
			defer client.CloseIdleConnections()
			at := n
			for seq, ok := 0, 0; ok < lettersALane; seq++ {
				if witness.Send(client, urls[at%len(urls)]+d.Path, witness.Letter{Sender: n, Seq: seq}, d.Ledger) {
					ok++
					sent.Add(1)
					time.Sleep(senderPause)
					continue
				}
				at++
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return sent, finished
}

func awaitSent(t *testing.T, sent *atomic.Int64, n int) {
	t.Helper()
	for deadline := time.Now().Add(4 * patience); sent.Load() < int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d requests acknowledged, want %d", sent.Load(), n)
		}
	}
}

func laneTable(lanes []*witness.Destination) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "lane\tacknowledged\tdelivered\tlost\trepeated\tunanswered\t")
	for _, d := range lanes {
		c := d.Ledger.Counts()
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", d.Path, c.Promised, c.Arrived, c.Owed, c.Repeated, c.Cut+c.Refused)
	}
	_ = w.Flush()
	return b.String()
}
