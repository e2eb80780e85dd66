package repeater_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/powerloss"
)

var (
	powerPoints = flag.Int("power.points", 500, "losses of power to be played by TestPowerLoss")
	powerSeed   = flag.Uint64("power.seed", 0, "play this one seed of TestPowerLoss alone")
)

// In each seed's play the power goes at 50 points, after each of which the file store
// must have kept what it has promised, and then goes on from one of these.
const (
	powerLives  = 5
	pointsALife = 10
)

func TestPowerLoss(t *testing.T) {
	t.Parallel()
	if *powerSeed != 0 {
		playPower(t, *powerSeed)
		return
	}
	for seed := range uint64(*powerPoints / (powerLives * pointsALife)) {
		t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
			t.Parallel()
			playPower(t, seed+1)
		})
	}
}

// powerPlay is one store, from life to life.
type powerPlay struct {
	*testing.T
	rand   *rand.Rand
	dir    string
	store  *repeater.FileQueue
	disk   *powerloss.Disk
	first  int   // point of a loss of power in this life
	before []any // notes of the lives before
	bursts int
	large  bool // the file grows and is compacted
	letter map[string][]repeater.Key
}

// What a play notes. Before a call it notes what may happen, and after it what has been promised.
type (
	pushing struct {
		keys  []repeater.Key
		fates []fate
	}
	pushed struct{ keys []repeater.Key }
	change struct { // of one message
		key  repeater.Key
		what string
	}
)

// fate is what may have become of a message.
type fate struct {
	lane, order string
	payload     []byte
	burst       int // pushed at the same time as others of this number
	safe        bool
	delivered   bool // perhaps
	moved       bool // has lost its place
	waits, dead bool // may be found there
	gone        bool // for good
}

func playPower(t *testing.T, seed uint64) {
	p := &powerPlay{T: t, rand: rand.New(rand.NewPCG(seed, 1)), dir: memoryDir(t), large: seed%20 == 0}
	image := (*powerloss.Image)(nil)
	for range powerLives {
		p.live(image)
		points := []int{p.disk.Len() - 1}
		for range pointsALife {
			points = append(points, p.first+p.rand.IntN(p.disk.Len()-p.first))
		}
		for _, point := range points {
			image = p.disk.Crash(point, p.rand)
			p.judge(image, point)
			if p.Failed() {
				p.Fatalf("seed %d: at point %d of %d; the file is %s", seed, point, p.disk.Len()-1, p.keep(image))
			}
		}
		p.before = append(p.before, p.disk.Notes(points[len(points)-1])...)
	}
}

// memoryDir is a folder in memory, where there is one: what is synced there is judged by the record, not by the disk.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "repeater")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *powerPlay) keep(image *powerloss.Image) string {
	path := filepath.Join(p.ArtifactDir(), "lost.db")
	if err := image.Store(path); err != nil {
		p.Error(err)
	}
	return path
}

// live lets the store work, on what the power has left, and records it.
func (p *powerPlay) live(image *powerloss.Image) {
	path := filepath.Join(p.dir, "repeater.db")
	p.put(path, image)
	p.disk, p.first = &powerloss.Disk{}, 0
	if image != nil {
		p.disk.Named(image).Sync()
		p.first = 2
	}
	p.open(path)
	p.letter = make(map[string][]repeater.Key)
	for _, lane := range powerLanes {
		letters, _, err := p.store.Dead(p.Context(), lane, "", 1000)
		p.must(err)
		for _, l := range letters {
			p.letter[lane] = append(p.letter[lane], l.Key)
		}
	}
	for range 40 {
		switch n := p.rand.IntN(100); {
		case n < 45:
			p.push()
		case n < 80:
			p.work(p.lane())
		case n < 92:
			p.exhume(p.lane())
		case n < 95:
			p.must(p.store.Close())
			p.open(path)
		default:
			time.Sleep(5 * time.Millisecond) // for what rides
		}
	}
	p.must(p.store.Close())
}

func (p *powerPlay) put(path string, image *powerloss.Image) {
	p.Helper()
	if image != nil {
		p.must(image.Store(path))
	}
}

func (p *powerPlay) open(path string) {
	p.Helper()
	p.store = repeater.NewFileQueue(path).WithDisk(p.disk)
	if p.large {
		p.store.CompactFrom(8 << 20)
	}
	p.must(p.store.Open(p.Context()))
}

func (p *powerPlay) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

var powerLanes = []string{"a", "b", "c"}

func (p *powerPlay) lane() string { return powerLanes[p.rand.IntN(3)] }

// push pushes one batch, or several at a time.
func (p *powerPlay) push() {
	p.bursts++
	n := 1
	if p.rand.IntN(4) == 0 {
		n = 4
	}
	var wg sync.WaitGroup
	for i := range n {
		b, started := p.batch(i)
		wg.Go(func() {
			p.disk.Note(started)
			if _, err := p.store.Push(p.Context(), b); err != nil {
				p.Errorf("push: %v", err)
				return
			}
			p.disk.Note(pushed{started.keys})
		})
	}
	wg.Wait()
}

func (p *powerPlay) batch(i int) (repeater.Batch, pushing) {
	b := repeater.Batch{ID: fmt.Sprintf("%06d-%d", p.bursts, i), Route: "route", Received: time.Now()}
	s := pushing{}
	for dest := range 1 + p.rand.IntN(3) {
		size := []int{0, 50, 50, 50, 2000, 5000, 20_000}[p.rand.IntN(7)]
		if p.large && p.rand.IntN(8) == 0 {
			size = 3 << 20
		}
		m := repeater.Message{Dest: dest, Lane: p.lane(), OrderKey: []string{"", "", "j", "k"}[p.rand.IntN(4)], Payload: make([]byte, size)}
		for i := range m.Payload {
			m.Payload[i] = byte(p.rand.Uint32())
		}
		b.Messages = append(b.Messages, m)
		s.keys = append(s.keys, repeater.Key{ID: b.ID, Dest: dest})
		s.fates = append(s.fates, fate{lane: m.Lane, order: m.OrderKey, payload: m.Payload, burst: p.bursts, waits: true})
	}
	return b, s
}

// work claims some of a lane and settles most of it, one way or another.
func (p *powerPlay) work(lane string) {
	c, err := p.store.Claim(p.Context(), repeater.ClaimRequest{Lane: lane, Max: 1 + p.rand.IntN(6), TTL: time.Hour})
	p.must(err)
	var s []repeater.Settlement
	var after []any
	for _, m := range c.Messages {
		one := repeater.Settlement{Key: m.Key, After: time.Duration(p.rand.IntN(2000)) * time.Microsecond}
		one.Attempt = repeater.Attempt{At: time.Now(), Status: 500}
		switch n := p.rand.IntN(20); {
		case n < 10:
			p.disk.Note(change{m.Key, "delivering"})
		case n < 13:
			one.Kind, one.Reason = repeater.SettleDead, "tried enough"
			p.disk.Note(change{m.Key, "dying"})
			after = append(after, change{m.Key, "dead"})
			p.letter[lane] = append(p.letter[lane], m.Key)
		case n < 15:
			one.Kind = repeater.SettleRetry
			p.disk.Note(change{m.Key, "moving"})
		case n < 17:
			one.Kind, one.Hold = repeater.SettleRetry, true
		case n < 19:
			one.Kind = repeater.SettleRelease
		default:
			continue // stays in hand
		}
		s = append(s, one)
	}
	p.must(p.store.Settle(p.Context(), lane, c.Token, s))
	for _, note := range after {
		p.disk.Note(note)
	}
	p.must(p.store.Release(p.Context(), lane, c.Token))
}

// exhume replays some dead letters of a lane, or drops them.
func (p *powerPlay) exhume(lane string) {
	keys := p.letter[lane]
	keys, p.letter[lane] = keys[:len(keys)/2], keys[len(keys)/2:]
	verb, done, do := "replaying", "replayed", p.store.Replay
	if p.rand.IntN(2) == 0 {
		verb, done, do = "dropping", "dropped", p.store.Drop
	}
	for _, k := range keys {
		p.disk.Note(change{k, verb})
	}
	n, err := do(p.Context(), lane, keys)
	p.must(err)
	if n != len(keys) {
		p.Errorf("%s %v: %d were", verb, keys, n)
	}
	for _, k := range keys {
		p.disk.Note(change{k, done})
	}
}

// fates is what may, and what must, be found after a loss of power at a point.
func (p *powerPlay) fates(point int) map[repeater.Key]*fate {
	fates := make(map[repeater.Key]*fate)
	for _, note := range append(p.before[:len(p.before):len(p.before)], p.disk.Notes(point)...) {
		switch n := note.(type) {
		case pushing:
			for i, k := range n.keys {
				f := n.fates[i]
				fates[k] = &f
			}
		case pushed:
			for _, k := range n.keys {
				fates[k].safe = true
			}
		case change:
			fates[n.key].change(n.what)
		}
	}
	return fates
}

func (f *fate) change(what string) {
	switch what {
	case "delivering":
		f.delivered = true
	case "dying":
		f.dead = true
	case "dead":
		f.waits = false
	case "moving":
		f.moved = true
	case "replaying":
		f.waits, f.moved = true, true
	case "replayed":
		f.dead = false
	case "dropping":
		f.delivered = true
	case "dropped":
		f.gone = true
	}
}

// judge opens what a loss of power has left, and compares it with what was promised.
func (p *powerPlay) judge(image *powerloss.Image, point int) {
	p.Helper()
	path := filepath.Join(p.dir, "judged.db")
	if image == nil {
		path = filepath.Join(p.dir, "none.db")
		_ = os.Remove(path)
	}
	p.put(path, image)
	if p.large && p.rand.IntN(2) == 0 { // what an interrupted compaction may leave
		write(p.T, path+".compact", make([]byte, p.rand.IntN(20_000)))
	}
	q := repeater.NewFileQueue(path)
	if p.large {
		q.CompactFrom(8 << 20)
	}
	if err := q.Open(p.Context()); err != nil {
		p.Errorf("after a loss of power the store cannot be opened: %v", err)
		return
	}
	defer func() { p.must(q.Close()) }()
	fates := p.fates(point)
	found := make(map[repeater.Key]bool)
	for _, lane := range powerLanes {
		p.judgeDead(q, lane, fates, found)
		p.judgeWaiting(q, lane, fates, found)
	}
	for k, f := range fates {
		if f.safe && !f.delivered && !f.gone && !found[k] {
			p.Errorf("message %v is lost", k)
		}
	}
	if _, err := q.Push(p.Context(), repeater.Batch{ID: "after", Messages: []repeater.Message{{Lane: "a"}}}); err != nil {
		p.Errorf("push after a loss of power: %v", err)
	}
}

func (p *powerPlay) judgeDead(q *repeater.FileQueue, lane string, fates map[repeater.Key]*fate, found map[repeater.Key]bool) {
	letters, _, err := q.Dead(p.Context(), lane, "", 1000)
	p.must(err)
	for _, l := range letters {
		payload, err := q.Payload(p.Context(), lane, l.Key)
		if f := p.judgeOne(l.Key, lane, payload, err, fates, found); f != nil && !f.dead {
			p.Errorf("message %v is dead", l.Key)
		}
	}
}

func (p *powerPlay) judgeWaiting(q *repeater.FileQueue, lane string, fates map[repeater.Key]*fate, found map[repeater.Key]bool) {
	info := p.info(q, lane)
	last := make(map[string]int) // by order key
	n := 0
	for token := ""; n < info.Waiting; {
		c, err := q.Claim(p.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: 1000, TTL: time.Hour})
		p.must(err)
		if token = c.Token; len(c.Messages) == 0 {
			if c.Wait <= 0 {
				p.Errorf("lane %s has handed out %d messages of %d", lane, n, info.Waiting)
				return
			}
			time.Sleep(c.Wait)
		}
		var s []repeater.Settlement
		for _, m := range c.Messages {
			n++
			s = append(s, repeater.Settlement{Key: m.Key})
			f := p.judgeOne(m.Key, lane, m.Payload, m.Err, fates, found)
			switch {
			case f == nil:
			case !f.waits:
				p.Errorf("message %v is not dead", m.Key)
			case !f.moved && f.burst < last[f.order]:
				p.Errorf("message %v comes after one of burst %d", m.Key, last[f.order])
			case !f.moved:
				last[f.order] = f.burst
			}
		}
		p.must(q.Settle(p.Context(), lane, token, s))
	}
	if after := p.info(q, lane); after.Waiting != 0 || after.Bytes != 0 {
		p.Errorf("all of lane %s is delivered, and it has %+v", lane, after)
	}
}

func (p *powerPlay) info(q *repeater.FileQueue, lane string) repeater.LaneInfo {
	infos, err := q.Lanes(p.Context(), "", 10)
	p.must(err)
	for _, info := range infos {
		if info.Name == lane {
			return info
		}
	}
	return repeater.LaneInfo{}
}

// judgeOne looks at a message that was found, and returns what was known of it, or nil.
func (p *powerPlay) judgeOne(k repeater.Key, lane string, payload []byte, err error, fates map[repeater.Key]*fate, found map[repeater.Key]bool) *fate {
	f := fates[k]
	switch {
	case f == nil || f.lane != lane:
		p.Errorf("message %v has never been pushed to lane %s", k, lane)
		return nil
	case found[k]:
		p.Errorf("message %v is there twice", k)
	case f.gone:
		p.Errorf("message %v was dropped, and is there again", k)
	case err != nil || !bytes.Equal(payload, f.payload):
		p.Errorf("message %v is changed: %v", k, err)
	}
	found[k] = true
	return f
}
