package repeater

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	sampleEvery = 10 * time.Second
	samplesKept = 60
)

// laneSeen is what this process has seen of a lane, for its operator only. Requests and messages cost
// it an atomic addition.
type laneSeen struct {
	accepted, delivered atomic.Int64
	depth               atomic.Int64
	behind              atomic.Bool
	failed              atomic.Int64 // attempts in a row, with no delivery between them

	mu       sync.Mutex
	failure  string // of the last attempt that failed
	failedAt time.Time
	samples  []laneSample // the latest last
	at       time.Time    // of the last one
	then     [2]int64     // accepted and delivered at that time
}

type laneSample struct {
	accepted, delivered float32 // a second
	depth               int32
}

// sightings are the lanes of a Repeater.
type sightings struct {
	mu    sync.Mutex
	lanes map[string]*laneSeen
}

func (s *sightings) of(lane string) *laneSeen {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes == nil {
		s.lanes = make(map[string]*laneSeen)
	}
	l := s.lanes[lane]
	if l == nil {
		l = new(laneSeen)
		s.lanes[lane] = l
	}
	return l
}

// accepted counts one more request of a route, which remembers its lanes so that no search is needed.
func (s *sightings) accepted(rt *route) {
	lanes := rt.seen.Load()
	if lanes == nil {
		lanes = new([]*laneSeen)
		for i := range rt.dests {
			*lanes = append(*lanes, s.of(rt.dests[i].lane))
		}
		rt.seen.Store(lanes)
	}
	for _, l := range *lanes {
		l.accepted.Add(1)
	}
}

// note takes the outcome of an attempt.
func (l *laneSeen) note(o *outcome, kind SettleKind) {
	if kind == SettleDelivered {
		l.delivered.Add(1)
		l.failed.Store(0)
		return
	}
	if kind == SettleRetry {
		l.failed.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure, l.failedAt = o.reason, o.attempt.At
	if l.failedAt.IsZero() { // it could not even be tried
		l.failedAt = time.Now()
	}
}

func (l *laneSeen) lastFailure() (string, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure, l.failedAt
}

// sampler is one Run's series of looks at all lanes.
type sampler struct {
	seen *sightings
	last time.Time
}

// begin says whether this look is to be a sample, and then forgets the depths of the one before.
func (s *sampler) begin(now time.Time) bool {
	if now.Sub(s.last) < sampleEvery {
		return false
	}
	s.last = now
	s.seen.each(func(l *laneSeen) { l.depth.Store(0) })
	return true
}

func (s *sampler) end(now time.Time) {
	s.seen.each(func(l *laneSeen) { l.sample(now) })
}

func (s *sightings) each(f func(*laneSeen)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		f(l)
	}
}

func (l *laneSeen) sample(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts, took := [2]int64{l.accepted.Load(), l.delivered.Load()}, now.Sub(l.at).Seconds()
	depth := l.depth.Load()
	if l.at.IsZero() || took <= 0 {
		took = sampleEvery.Seconds()
	}
	fresh := laneSample{float32(float64(counts[0]-l.then[0]) / took), float32(float64(counts[1]-l.then[1]) / took), int32(min(depth, 1<<31-1))} // #nosec G115 -- bounded
	l.at, l.then = now, counts
	if len(l.samples) == 0 && fresh == (laneSample{}) {
		return // a lane without traffic costs nothing
	}
	if len(l.samples) == samplesKept {
		l.samples = append(l.samples[:0], l.samples[1:]...)
	}
	l.samples = append(l.samples, fresh)
}

// series returns the samples, the latest last.
func (l *laneSeen) series() (accepted, delivered []float64, depth []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.samples {
		accepted, delivered = append(accepted, float64(s.accepted)), append(delivered, float64(s.delivered))
		depth = append(depth, int(s.depth))
	}
	return accepted, delivered, depth
}
