package repeater_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/boltfile"
)

var (
	damageFlips = flag.Int("damage.flips", 200, "bits to be flipped, one a file, by TestFlippedBits")
	damageSeed  = flag.Uint64("damage.seed", 0, "play this one seed of the tests of damage alone")
)

// pushedFile is a file with one of everything that a store can hold, and what is in it.
type pushedFile struct {
	content  []byte // closed well, and without the empty end
	left     []byte // left by a process that has died, likewise
	payloads map[repeater.Key][]byte
	lanes    []string
	gone     map[repeater.Key][]byte // delivered; again after a commit whose meta page is damaged
	told     int64                   // errors that were logged during the last use
}

// errorCount counts the errors that are logged.
type errorCount struct {
	slog.Handler
	n atomic.Int64
}

func (c *errorCount) Enabled(context.Context, slog.Level) bool { return true }

func (c *errorCount) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.n.Add(1)
	}
	return nil
}

func newPushedFile(t *testing.T) *pushedFile {
	t.Helper()
	f := startFile(t, repeater.FileSetup{})
	p := &pushedFile{payloads: make(map[repeater.Key][]byte), lanes: []string{"a", "b", "c"}, gone: make(map[repeater.Key][]byte)}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 60 {
		b := repeater.Batch{ID: fmt.Sprintf("%06d", i), Route: "route", Received: time.Now()}
		if i%5 == 0 {
			b.Dedupe, b.DedupeFor = b.ID, time.Hour
		}
		for dest, lane := range p.lanes {
			payload := make([]byte, []int{0, 40, 40, 300, 3000, 9000, 30_000}[(i+dest)%7])
			for i := range payload {
				payload[i] = byte(random.Uint32())
			}
			b.Messages = append(b.Messages, repeater.Message{Dest: dest, Lane: lane, OrderKey: []string{"", "k"}[i%2], Payload: payload})
			p.payloads[repeater.Key{ID: b.ID, Dest: dest}] = payload
		}
		if _, err := f.Push(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, lane := range p.lanes {
		c := f.claim(lane, "", 10)
		var s []repeater.Settlement
		for i, m := range c.Messages {
			one := repeater.Settlement{Key: m.Key, Kind: repeater.SettleKind(i % 4), Reason: "why", Attempt: repeater.Attempt{At: time.Now(), Status: 500}}
			if one.Kind == repeater.SettleDelivered {
				p.gone[m.Key] = m.Payload
				delete(p.payloads, m.Key)
			}
			s = append(s, one)
		}
		f.settle(lane, c.Token, s...)
	}
	p.left = bytes.TrimRight(read(t, f.path), "\x00")
	if err := f.FileQueue.Close(); err != nil {
		t.Fatal(err)
	}
	p.content = bytes.TrimRight(read(t, f.path), "\x00")
	return p
}

// filePage is the size of the pages of a file store.
const filePage = 16 << 10

// padded is a file of whole pages, and one more.
func padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, 2*filePage-len(b)%filePage)...)
}

// use does with a file whatever can be done, and compares what it gives with what was pushed. It returns
// the first error of the file, and the messages that were seen: whole, or not.
func (p *pushedFile) use(t *testing.T, path string) (whole map[repeater.Key]bool, err error) {
	t.Helper()
	log := &errorCount{Handler: slog.DiscardHandler}
	q := repeater.NewFileQueueWith(path, repeater.FileSetup{Log: slog.New(log)})
	defer func() { p.told = log.n.Load() }()
	defer func() { _ = q.Close() }()
	if err := q.Open(t.Context()); err != nil {
		return nil, err
	}
	whole = make(map[repeater.Key]bool)
	lanes := slices.Clone(p.lanes)
	infos, err := q.Lanes(t.Context(), "", 10)
	for _, info := range infos {
		if !slices.Contains(lanes, info.Name) {
			lanes = append(lanes, info.Name) // whose name is damaged
		}
	}
	for _, lane := range lanes {
		if e := p.useDead(t, q, lane, whole); err == nil {
			err = e
		}
		if e := p.useLane(t, q, lane, whole); err == nil {
			err = e
		}
		// New ids come behind the others, and between them.
		for _, id := range []string{"1", "000030x"} {
			b := repeater.Batch{ID: id, Messages: []repeater.Message{{Lane: lane, Payload: make([]byte, 5000)}}}
			if _, e := q.Push(t.Context(), b); err == nil {
				err = e
			}
		}
	}
	return whole, err
}

func (p *pushedFile) useDead(t *testing.T, q *repeater.FileQueue, lane string, whole map[repeater.Key]bool) error {
	t.Helper()
	letters, _, err := q.Dead(t.Context(), lane, "", 1000)
	for _, l := range letters {
		payload, e := q.Payload(t.Context(), lane, l.Key)
		p.same(t, l.Key, payload, e, whole)
		if _, e := q.Letter(t.Context(), lane, l.Key); err == nil {
			err = e
		}
	}
	if len(letters) > 1 {
		if _, e := q.Replay(t.Context(), lane, []repeater.Key{letters[0].Key}); err == nil {
			err = e
		}
		if _, e := q.Drop(t.Context(), lane, []repeater.Key{letters[1].Key}); err == nil {
			err = e
		}
	}
	return err
}

func (p *pushedFile) useLane(t *testing.T, q *repeater.FileQueue, lane string, whole map[repeater.Key]bool) error {
	t.Helper()
	token := ""
	for {
		c, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: 10, TTL: time.Hour})
		if err != nil || len(c.Messages) == 0 {
			return err
		}
		token = c.Token
		var s []repeater.Settlement
		for _, m := range c.Messages {
			p.same(t, m.Key, m.Payload, m.Err, whole)
			kind := repeater.SettleDelivered
			if m.Err != nil {
				kind = repeater.SettleDead
			}
			s = append(s, repeater.Settlement{Key: m.Key, Kind: kind})
		}
		if err := q.Settle(t.Context(), lane, token, s); err != nil {
			return err
		}
	}
}

// same wants a payload as it was pushed, or none.
func (p *pushedFile) same(t *testing.T, k repeater.Key, payload []byte, err error, whole map[repeater.Key]bool) {
	t.Helper()
	pushed, ok := p.payloads[k]
	again, gone := p.gone[k]
	switch {
	case gone:
		if err == nil && !bytes.Equal(payload, again) {
			t.Errorf("message %v is not what was delivered", k)
		}
	case k.ID == "1" || k.ID == "000030x":
	case !ok:
		t.Errorf("message %v was never pushed, or delivered before", k)
	case err == nil && !bytes.Equal(payload, pushed):
		t.Errorf("message %v is not what was pushed", k)
	case err != nil && (payload != nil || !errors.Is(err, repeater.ErrCorrupt) && !errors.Is(err, repeater.ErrNotFound)):
		t.Errorf("message %v: %d bytes, and %v", k, len(payload), err)
	default:
		whole[k] = err == nil
	}
}

func TestSoundFile(t *testing.T) {
	t.Parallel()
	p, dir := newPushedFile(t), memoryDir(t)
	for name, content := range map[string][]byte{"closed": p.content, "left": p.left} {
		whole, err := p.use(t, write(t, filepath.Join(dir, name), padded(content)))
		if err != nil || len(whole) != len(p.payloads) {
			t.Errorf("%s: %d of %d messages, %v", name, len(whole), len(p.payloads), err)
		}
	}
}

// A file that is cut off is refused, wherever it is cut.
func TestCutOffFile(t *testing.T) {
	t.Parallel()
	p, path := newPushedFile(t), filepath.Join(memoryDir(t), "cut.db")
	for _, content := range [][]byte{p.content, p.left} {
		for size := 1; size < len(content)-filePage; size += filePage {
			odd := size + []int{0, 511, 16000}[size/filePage%3]
			for _, size := range []int{size - 1, odd} {
				_, err := p.use(t, write(t, path, content[:size]))
				if size > 0 && !errors.Is(err, repeater.ErrCorrupt) {
					t.Fatalf("cut off at %d of %d bytes: %v", size, len(content), err)
				}
			}
		}
	}
}

// damage plays one seeded kind of damage on many files.
func (p *pushedFile) damage(t *testing.T, n int, do func(random *rand.Rand, b []byte) string) {
	t.Helper()
	path := filepath.Join(memoryDir(t), "damaged.db")
	refused, aside := 0, 0
	for i := range uint64(n) { // #nosec G115 -- small
		seed := i + 1
		if *damageSeed != 0 {
			seed = *damageSeed
		}
		random := rand.New(rand.NewPCG(seed, 2))
		content := p.content
		if random.IntN(2) == 0 {
			content = p.left
		}
		content = padded(content)
		what := do(random, content)
		whole, err := p.use(t, write(t, path, content))
		switch {
		case err != nil:
			refused++
		case len(whole) < len(p.payloads):
			aside++
			if p.told == 0 {
				t.Errorf("%d lost in silence", len(p.payloads)-len(whole))
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s: %v", seed, what, err)
		}
	}
	t.Logf("of %d damaged files %d were refused, or gave errors, and of %d some messages were set aside", n, refused, aside)
	if refused == 0 {
		t.Error("no damage was ever found")
	}
}

func TestFlippedBits(t *testing.T) {
	t.Parallel()
	newPushedFile(t).damage(t, *damageFlips, func(random *rand.Rand, b []byte) string {
		at := random.IntN(len(b))
		if random.IntN(2) == 0 { // where the pages describe themselves
			at = at/filePage*filePage + random.IntN(64)
		}
		bit := byte(1) << random.IntN(8)
		b[at] ^= bit
		return fmt.Sprintf("bit %#x of byte %d", bit, at)
	})
}

func TestWrongPages(t *testing.T) {
	t.Parallel()
	newPushedFile(t).damage(t, *damageFlips/3, func(random *rand.Rand, b []byte) string {
		one, two := random.IntN(len(b)/filePage), random.IntN(len(b)/filePage)
		p, q := b[one*filePage:][:filePage], b[two*filePage:][:filePage]
		switch random.IntN(4) {
		case 0:
			clear(p)
			return fmt.Sprintf("page %d is empty", one)
		case 1:
			copy(p, q)
			return fmt.Sprintf("page %d is page %d", one, two)
		case 2:
			for i := range p[:512] {
				p[i] = byte(random.Uint32())
			}
			return fmt.Sprintf("page %d begins with noise", one)
		default:
			was := bytes.Clone(p)
			copy(p, q)
			copy(q, was)
			return fmt.Sprintf("pages %d and %d are exchanged", one, two)
		}
	})
}

// What bbolt has mapped can vanish under its hands, or the disk may not be able to read it.
func TestFileVanishesWhileUsed(t *testing.T) {
	t.Parallel()
	p, dir := newPushedFile(t), memoryDir(t)
	for i, size := range []int64{0, 4096, 8192, 65536, 2 << 20, int64(len(p.content)) / 2} {
		for _, do := range []string{"claim", "push", "list", "close"} {
			logged, log := newLog()
			path := write(t, filepath.Join(dir, fmt.Sprint(do, i)), padded(p.content))
			q := repeater.NewFileQueueWith(path, repeater.FileSetup{Log: log})
			if err := q.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
			whole := make(map[repeater.Key]bool)
			var err error
			switch do {
			case "claim":
				err = p.useLane(t, q, "a", whole)
			case "push":
				_, err = q.Push(t.Context(), repeater.Batch{ID: "1", Messages: []repeater.Message{{Lane: "a"}}})
			case "list":
				err = p.useDead(t, q, "a", whole)
			}
			if size == 0 && do != "close" {
				if !errors.Is(err, repeater.ErrCorrupt) || strings.Count(logged.String(), "the file is damaged") != 1 {
					t.Errorf("%s without a file: %v; the log:\n%s", do, err, logged)
				}
				_, again := q.Push(t.Context(), repeater.Batch{ID: "2", Messages: []repeater.Message{{Lane: "a"}}})
				if !errors.Is(again, repeater.ErrCorrupt) {
					t.Errorf("push to a damaged store: %v", again)
				}
			}
			if err := q.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
}

// unlisted is a store with more free pages than are listed, and a message that begins with needle, on a page of its own.
func unlisted(t *testing.T, s repeater.FileSetup, needle []byte) *fileTest {
	t.Helper()
	f := startFile(t, s)
	large := repeater.Batch{ID: "large"}
	for i := range 40 {
		large.Messages = append(large.Messages, repeater.Message{Dest: i, Lane: "large", Payload: make([]byte, 1<<20)})
	}
	small := repeater.Batch{ID: "0", Messages: []repeater.Message{{Lane: "a", Payload: append(bytes.Clone(needle), make([]byte, 9000)...)}}}
	for _, b := range []repeater.Batch{small, large} {
		if _, err := f.Push(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	f.drain("large")
	f.push("b", "1", "2")
	content := read(t, f.path)
	if ok, err := boltfile.Unlisted(bytes.NewReader(content), int64(len(content))); err != nil || !ok {
		t.Fatalf("the free pages are listed: %v", err)
	}
	return f
}

// spoil takes the headers from the pages that contain needle.
func spoil(path string, needle []byte) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	page := make([]byte, filePage)
	for at := int64(0); err == nil; at += filePage {
		if _, e := file.ReadAt(page, at); e != nil {
			break
		}
		if bytes.Contains(page, needle) {
			_, err = file.WriteAt(make([]byte, 16), at)
		}
	}
	return err
}

// When a commit fails, bbolt looks at all pages for those that are free. A damaged one must not end the process.
func TestCommitFailsOnADamagedFile(t *testing.T) {
	t.Parallel()
	needle := []byte("what stands on the page that is damaged")
	for name, want := range map[string]error{"sound": nil, "damaged": repeater.ErrCorrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *fileTest
			var fail atomic.Bool
			f = unlisted(t, repeater.FileSetup{Commit: func(commit func() error) error {
				if !fail.Swap(false) {
					return commit()
				}
				if want != nil {
					if err := spoil(f.path, needle); err != nil {
						t.Error(err)
					}
				}
				return repeater.Unwritable(f.FileQueue, commit)
			}}, needle)
			fail.Store(true)
			err := f.tryPush("b", "3", 10)
			if err == nil || errors.Is(err, repeater.ErrCorrupt) != (want != nil) {
				t.Errorf("the push that could not be written: %v", err)
			}
			for err = f.tryPush("b", "4", 10); want == nil && err != nil; err = f.tryPush("b", "4", 10) {
				time.Sleep(10 * time.Millisecond)
			}
			f.wantErr("the next push", err, want)
		})
	}
}
