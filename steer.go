package repeater

import "context"

// Pause keeps a lane from sending anything until [Repeater.Resume], also across restarts. Requests
// are still accepted, and what waits does not age. Attempts in flight are not cut off. Other
// processes on the same store notice within 5 s.
//
// A lane's name is what [Repeater.Lanes] returns: the origin of a destination, as in
// "https://example.com:443", followed by a space and the name if the route has a [Lane]. An unknown
// lane is no error: it is paused for messages that may come later, so a mistyped name goes
// unnoticed.
func (r *Repeater) Pause(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LanePause)
}

// Resume ends what Pause began. A lane that is not paused, or unknown, is left alone.
func (r *Repeater) Resume(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LaneResume)
}

// RetryNow ends the pause of a lane whose destination is unwell: it is tried at once, with one
// message. Any other lane, or an unknown one, is left alone.
func (r *Repeater) RetryNow(ctx context.Context, lane string) error {
	return r.steer(ctx, lane, LaneRetryNow)
}

// DropRefused lets a lane go on that is paused because its destination refuses one message after
// the other: until the next delivery, each refused message becomes a dead letter at once, however
// many. That also applies to a lane that is not paused, or not known yet.
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
