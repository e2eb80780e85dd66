package repeater

import "context"

// Pause keeps a lane from sending anything until [Repeater.Resume], also across restarts.
// Accepting goes on, and what waits does not age. Attempts in flight end as
// they do. Other processes on the same store notice within 5 s.
//
// Lanes have the names that [Repeater.Lanes] tells: the origin of a destination, as in
// "https://example.com:443", and a space and the name behind it if the route has a [Lane].
func (r *Repeater) Pause(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LanePause)
}

// Resume ends what Pause began. A lane that is not paused is left alone.
func (r *Repeater) Resume(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LaneResume)
}

// RetryNow ends the pause of a lane whose destination is unwell: it is probed at once.
func (r *Repeater) RetryNow(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LaneRetryNow)
}

// DropRefused lets a lane that is paused because its destination refuses one message after the other
// go on: until the next delivery, each refused message becomes a dead letter at once, however many.
func (r *Repeater) DropRefused(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LaneForgive)
}

func (r *Repeater) steer(ctx context.Context, lane string, order LaneOrder) error {
	if err := r.usable(); err != nil {
		return err
	}
	if err := r.queue.Steer(ctx, lane, order); err != nil {
		return err
	}
	if w := r.worker.Load(); w != nil {
		w.nudge(lane)
	}
	return nil
}
