package repeater

import (
	"context"
	"time"
)

// growth watches lanes whose backlog grows although their destination is well.
type growth map[string]*grower

type grower struct {
	least   int // that waited in any look of this period
	looks   int
	before  int // least of the period before
	periods int // in a row that it has grown
	said    bool
}

const (
	growthLooks   = 30   // in a period
	growthPeriods = 2    // of growth, until it is said
	growthFrom    = 1000 // messages, below which nobody is told
)

// look says once that a lane falls behind, and says so anew only after it has caught up.
func (g growth) look(w *worker, info LaneInfo) {
	if info.Waiting < growthFrom {
		delete(g, info.Name)
		w.r.seen.of(info.Name).behind.Store(false)
		return
	}
	s := g[info.Name]
	if s == nil || info.Failures > 0 || info.Paused {
		s = &grower{least: info.Waiting, before: info.Waiting}
		g[info.Name] = s
	}
	s.least = min(s.least, info.Waiting)
	if s.looks++; s.looks < growthLooks {
		return
	}
	if s.periods++; s.least <= s.before {
		s.periods = 0
	}
	w.r.seen.of(info.Name).behind.Store(s.periods >= growthPeriods)
	s.before, s.least, s.looks = s.least, info.Waiting, 0
	if s.periods >= growthPeriods && !s.said {
		s.said = true
		w.r.config().log.Warn("more is accepted than delivered although the destination is well: let more attempts be in flight (Concurrency)",
			"lane", info.Name, "waiting", info.Waiting, "concurrency", w.r.config().lane(info.Name).concurrency)
	}
}

const (
	pruneEvery = time.Minute
	prunePage  = 100 // dead letters deleted in one step, so that nothing waits for long
)

// prune deletes what has been dead for long.
func (w *worker) prune() {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-tick.C:
		}
		w.store.report(w, "prune dead letters", w.pruneLanes())
	}
}

func (w *worker) pruneLanes() error {
	var lanes []string
	err := eachLane(w.ctx, w.r.queue, func(info LaneInfo) {
		if info.Dead > 0 {
			lanes = append(lanes, info.Name)
		}
	})
	for _, name := range lanes {
		if err == nil {
			err = w.pruneLane(w.ctx, name)
		}
	}
	return err
}

func (w *worker) pruneLane(ctx context.Context, name string) error {
	for {
		n := 0
		err := within(ctx, storeTimeout, func(ctx context.Context) (err error) {
			n, err = w.r.queue.Prune(ctx, name, w.r.config().keepDead, prunePage)
			return err
		})
		if err != nil || n < prunePage {
			return err
		}
	}
}
