package repeater

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// laneState is what a lane knows of its destination's health and of its
// operator's wishes. In memory it runs ahead of what is committed.
type laneState struct {
	failures int
	refusals int
	pauseTo  moment        // Hold: nothing is handed out before
	stopped  moment        // LanePause: since when; 0 while it is not
	idle     time.Duration // how long it was stopped before
}

// ownTime returns the store's time less what the lane was stopped: what its messages age by.
func (s *laneState) ownTime(now moment) moment {
	if s.stopped != 0 {
		now = s.stopped
	}
	return now - moment(s.idle)
}

// settled notes what an outcome says of the destination.
func (s *laneState) settled(m *settled) {
	switch {
	case m.kind == SettleDelivered:
		s.failures, s.refusals = 0, 0
	case m.kind == SettleRetry && !m.hold:
		s.failures = 0
	case m.kind == SettleRetry && m.pauseTo != 0:
		s.failures++
		s.pauseTo = max(s.pauseTo, m.pauseTo)
	case m.kind == SettleDead && m.refused:
		s.failures = 0
		s.refusals++
	}
}

func (s *laneState) steer(order LaneOrder, now moment) {
	switch order {
	case LanePause:
		if s.stopped == 0 {
			s.stopped = now
		}
	case LaneResume:
		if s.stopped != 0 {
			s.idle += now.since(s.stopped)
			s.stopped = 0
		}
	case LaneRetryNow:
		s.pauseTo = 0
	case LaneForgive:
		s.pauseTo, s.refusals = 0, Forgiven
	}
}

func (q *fileQueue) Steer(ctx context.Context, lane string, order LaneOrder) error {
	if lane == "" || len(lane) > maxLane {
		return fmt.Errorf("steer: %w", errLaneName)
	}
	if order > LaneForgive {
		return fmt.Errorf("steer: there is no order %d", order)
	}
	if err := q.ready(ctx); err != nil {
		return err
	}
	l := q.lane(lane)
	op := &fileSteer{lane: l, order: order, now: q.clock.now()}
	l.mu.Lock()
	l.state.steer(order, op.now)
	qo, err := q.committer.add(op, true)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return q.committer.await(ctx, qo)
}

var errLaneName = errors.New("a lane's name has 1 to 1,024 bytes")

// fileSteer commits an order that already holds.
type fileSteer struct {
	fact
	lane  *fileLane
	order LaneOrder
	now   moment
}

func (s *fileSteer) apply(t *fileTx) error {
	t.lane(s.lane).steer(s.order, s.now)
	return nil
}
