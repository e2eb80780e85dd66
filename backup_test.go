package repeater_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// TestBackupHasEverything: of all that a store can hold, and little of a file that has grown.
func TestBackupHasEverything(t *testing.T) {
	t.Parallel()
	f := grown(t)
	f.open()
	f.claim("a", "", 1) // what is in hand is waiting in the copy
	var copied bytes.Buffer
	if err := repeater.BackupFile(t.Context(), f.FileQueue, &copied); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, f.path)
	restored := &fileTest{T: t, path: restore(t, copied.Bytes())}
	restored.open()
	defer restored.FileQueue.Close()
	restored.wantGrown()
	if n := copied.Len(); n > 8<<20 {
		t.Errorf("the copy has %d bytes, for 2 MiB of payloads", n)
	}
}

// restore puts a copy where a store can be opened, once it is found to be whole.
func restore(t *testing.T, copied []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(path, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantOnly wants nothing else in the folder of a store.
func wantOnly(t *testing.T, path string) {
	t.Helper()
	if there, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(there) != 1 || err != nil {
		t.Errorf("the folder has %q, %v", there, err)
	}
}

// TestBackupUnderLoad: what was acknowledged before a backup began has been delivered or is in it, while
// requests come in and others go out all the time.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	var before, after idSet // ids that arrive at a destination, of the store and of its copy
	collect := func(to *idSet) *httptest.Server {
		d := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { to.add(r.Header.Get("Repeater-Id")) }))
		t.Cleanup(d.Close)
		return d
	}
	options := func(down, up string) []repeater.Option {
		return []repeater.Option{repeater.WithLogger(discard()), repeater.Route("/down", down, repeater.Name("down"), repeater.Lane("down")),
			repeater.Route("/up", up, repeater.Name("up"), repeater.Lane("up"), repeater.Concurrency(4))}
	}
	rp := deliver(t, options("http://127.0.0.1:1", collect(&before).URL)...)

	var acked idSet
	var stop atomic.Bool
	var sending sync.WaitGroup
	for i := range 8 {
		sending.Go(func() {
			for n := 0; !stop.Load(); n++ {
				body := strings.NewReader(strings.Repeat("x", n%5*1000))
				w := httptest.NewRecorder()
				rp.ServeHTTP(w, httptest.NewRequest("POST", []string{"/up", "/down"}[(i+n)%2], body))
				if w.Code != http.StatusOK {
					t.Errorf("answered %d", w.Code)
					return
				}
				acked.add(w.Header().Get("Repeater-Id"))
			}
		})
	}
	var copied bytes.Buffer
	var promised []string
	for range 3 {
		n := acked.len()
		for acked.len() < n+500 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		promised = acked.all()
		copied.Reset()
		if err := rp.Backup(t.Context(), &copied); err != nil {
			t.Errorf("backup: %v", err)
		}
	}
	stop.Store(true)
	sending.Wait()
	delivered := before.set()
	if t.Failed() {
		return
	}

	dest := collect(&after)
	copyOf := run(t, append(options(dest.URL, dest.URL), repeater.WithFile(restore(t, copied.Bytes())))...)
	settled(t, copyOf)
	again, sent := after.set(), acked.set()
	for _, id := range promised {
		if !delivered[id] && !again[id] {
			t.Errorf("%s is lost", id)
		}
	}
	for id := range again {
		if !sent[id] {
			t.Errorf("%s was never sent", id)
		}
	}
	t.Logf("%d were acknowledged before the backup, %d of them and later ones were in it", len(promised), len(again))
}

// idSet is what has come, repetitions left out.
type idSet struct {
	mu  sync.Mutex
	ids []string
}

func (s *idSet) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

func (s *idSet) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[:len(s.ids):len(s.ids)]
}

func (s *idSet) len() int { return len(s.all()) }

func (s *idSet) set() map[string]bool {
	set := make(map[string]bool)
	for _, id := range s.all() {
		set[id] = true
	}
	return set
}

// TestNoBackup: why there is none, and that nothing is left of it.
func TestNoBackup(t *testing.T) {
	t.Parallel()
	rp := repeater.New(repeater.WithQueue(memqueue.New()), repeater.Route("/", "http://127.0.0.1:1"))
	if err := rp.Backup(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of another store: %v", err)
	}
	if err := rp.Close(); err != nil {
		t.Fatal(err)
	}
	if err := rp.Backup(t.Context(), nil); !errors.Is(err, repeater.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}

	f := startFile(t, repeater.FileSetup{DiskFloor: 1 << 60})
	f.wantErr("without room", repeater.BackupFile(t.Context(), f.FileQueue, nil), repeater.ErrFull)
	ctx, cancel := context.WithCancel(t.Context())
	f = startFile(t, repeater.FileSetup{})
	f.push("a", "1")
	f.wantErr("where it cannot be written", repeater.BackupFile(ctx, f.FileQueue, refusingWriter{cancel}), errNotWritten)
	f.wantErr("cancelled", repeater.BackupFile(ctx, f.FileQueue, nil), context.Canceled)
	wantOnly(t, f.path)
	f.wantDrained("a", "1")
}

var errNotWritten = errors.New("refused")

type refusingWriter struct{ cancel func() }

func (w refusingWriter) Write([]byte) (int, error) {
	w.cancel()
	return 0, errNotWritten
}

// TestBackupGivesWay: it does not go on while what is to be stored waits for long, nor once the store is closed.
func TestBackupGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hold atomic.Pointer[chan struct{}]
		f := startFile(t, repeater.FileSetup{Commit: func(commit func() error) error {
			if c := hold.Load(); c != nil {
				<-*c
			}
			return commit()
		}})
		free := make(chan struct{})
		hold.Store(&free)
		pushed := make(chan error)
		go func() { pushed <- f.tryPush("a", "1", 10) }()
		time.Sleep(time.Second)
		if err := repeater.BackupFile(t.Context(), f.FileQueue, &bytes.Buffer{}); err != nil {
			t.Errorf("beside a commit that takes a second: %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		err := repeater.BackupFile(t.Context(), f.FileQueue, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "held up requests") {
			t.Errorf("beside a commit that takes longer: %v", err)
		}
		wantOnly(t, f.path)
		close(free)
		hold.Store(nil)
		if err := <-pushed; err != nil {
			t.Error(err)
		}
	})
}

// TestBackupWhileTheFileHeals: nor while the file is to be opened again, which a copy would hold up.
func TestBackupWhileTheFileHeals(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		p.next(unwritten, unwritten)
		f.wantErr("push", f.tryPush("a", "1", 10), errSync)
		if err := repeater.BackupMayGoOn(f.FileQueue); err == nil {
			t.Error("a copy goes on")
		}
		time.Sleep(time.Minute)
		if err := repeater.BackupMayGoOn(f.FileQueue); err != nil {
			t.Errorf("once the file is well: %v", err)
		}
	})
}

// TestBackupOfAdmin: who is allowed to gets the file, and whoever is cut off notices.
func TestBackupOfAdmin(t *testing.T) {
	t.Parallel()
	d := describedAPI(t)
	file := repeater.WithFile(filepath.Join(t.TempDir(), "test.db"))
	rp := run(t, repeater.WithLogger(discard()), file, repeater.Route("/in", "http://127.0.0.1:1"))
	rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/in", strings.NewReader("x")))
	srv := httptest.NewServer(rp.Admin(repeater.AllowBackup()))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/api/v1/backup")
	if err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	_, err = copied.ReadFrom(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment; ") {
		t.Errorf("%v, answered %s with %v", err, resp.Status, resp.Header)
	}
	restored := &fileTest{T: t, path: restore(t, copied.Bytes())}
	restored.open()
	defer restored.FileQueue.Close()
	if got := restored.drain("http://127.0.0.1:1"); len(got) != 1 {
		t.Errorf("the copy has %q", got)
	}

	for _, tt := range []struct {
		store  repeater.Option
		opts   []repeater.AdminOption
		status int
	}{
		{file, nil, http.StatusForbidden},
		{repeater.WithQueue(memqueue.New()), []repeater.AdminOption{repeater.AllowBackup()}, http.StatusNotImplemented},
		{file, []repeater.AdminOption{repeater.AllowBackup()}, http.StatusServiceUnavailable}, // it is in use
		{repeater.WithFile(filepath.Join(t.TempDir(), "x.db")), []repeater.AdminOption{repeater.AllowBackup()}, http.StatusInsufficientStorage},
	} {
		other := repeater.New(tt.store, repeater.WithLogger(discard()), repeater.Route("/in", "http://127.0.0.1:1"))
		if tt.status == http.StatusInsufficientStorage {
			other = repeater.New(tt.store, repeater.WithDiskFloor(1<<60), repeater.WithLogger(discard()), repeater.Route("/in", "http://127.0.0.1:1"))
		}
		c := serveAdmin(t, other, tt.opts...)
		status, answer := c.do("GET", "/api/v1/backup", "")
		if status != tt.status {
			t.Errorf("%d, want %d", status, tt.status)
		}
		d.check(t, "GET", "/api/v1/backup", status, answer)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}
