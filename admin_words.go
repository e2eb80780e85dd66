package repeater

import (
	"fmt"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// why says in a sentence or two what is the matter with a lane, and what happens next.
func (s *adminSource) why(info LaneInfo, l *admin.Lane) string {
	switch l.State {
	case admin.Paused:
		return "Paused by an operator: nothing is sent until it is resumed. Requests are still accepted."
	case admin.Refusing:
		return fmt.Sprintf("The destination has refused %d messages in a row%s, which is taken for its own fault. %s",
			info.Refusals+1, lastly(l.LastError), s.probe(info))
	case admin.Unwell:
		return fmt.Sprintf("The destination fails, %s in a row%s. %s", times(info.Failures), lastly(l.LastError), s.probe(info))
	case admin.Failing:
		return fmt.Sprintf("The destination answers, but has failed the last %d attempts%s. Each message is tried again on a schedule of its own.",
			s.r.seen.of(info.Name).failed.Load(), lastly(l.LastError))
	case admin.Behind:
		return fmt.Sprintf("More is accepted than delivered although the destination is well. Let more attempts be in flight: concurrency is %d.", l.Concurrency)
	}
	switch {
	case info.Waiting == 0:
		return "Nothing waits."
	case info.Parked == info.Waiting:
		return "What waits belongs to routes that no process here knows."
	case !info.Held && s.r.worker.Load() == nil:
		return "Nobody delivers: Run is not at work in this process, and no other process works this lane."
	}
	return "The destination is well, and what waits is being delivered."
}

func lastly(failure string) string {
	if failure == "" {
		return ""
	}
	return " (last: " + failure + ")"
}

func (s *adminSource) probe(info LaneInfo) string {
	switch {
	case info.Waiting == 0:
		return "Nothing waits to probe it with."
	case info.Wait > 0:
		return "The next probe goes out in " + roughly(info.Wait) + "."
	}
	return "A probe goes out now."
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// roughly tells a duration as people do.
func roughly(d time.Duration) string {
	d = max(d, time.Second).Round(time.Second)
	h, m, s := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	switch {
	case h > 0 && m > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case h > 0:
		return fmt.Sprintf("%d h", h)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}

// next says what happens next to a message that waits.
func (s *adminSource) next(w *WaitingMessage, info LaneInfo, last string) string {
	switch {
	case w.Place == PlaceInHand:
		return "It is in hand: being attempted now, or next in turn."
	case w.Place == PlaceParked:
		return fmt.Sprintf("It waits for a process that knows its route %q; none here does. After %s without one it becomes a dead letter.", w.Route, roughly(s.cfg().orphanAge))
	case w.Place == PlaceHeld && w.Behind.ID != "":
		return "It is held back behind " + w.Behind.String() + ", which has the same order key, until that is delivered or dead."
	case w.Place == PlaceHeld:
		return "It is held back behind an older message of the same order key, until that is delivered or dead."
	case info.Paused:
		return "It waits because its lane is paused by an operator; resume the lane."
	case info.Failures > 0:
		return fmt.Sprintf("It waits%s because the destination fails, %s in a row%s. %s", behind(w.Ahead), times(info.Failures), lastly(last), s.probe(info))
	case w.Place == PlaceDue && w.Due > 0:
		return fmt.Sprintf("It is tried again by itself in %s%s; the lane goes on meanwhile.", roughly(w.Due), lastly(failureOf(w.History)))
	case !info.Held && s.r.worker.Load() == nil:
		return "It waits because nobody delivers: Run is not at work in this process, and no other process works the lane."
	case w.Ahead > 0:
		return fmt.Sprintf("It is delivered in its turn; %d of its lane come before it.", w.Ahead)
	case w.Ahead < 0:
		return "It is delivered in its turn."
	}
	return "It is delivered next."
}

func behind(ahead int) string {
	if ahead <= 0 {
		return ""
	}
	if ahead == 1 {
		return ", behind another one,"
	}
	return fmt.Sprintf(", behind %d others,", ahead)
}

// failureOf says how the last attempt ended.
func failureOf(history []Attempt) string {
	if len(history) == 0 {
		return ""
	}
	o := outcome{attempt: history[len(history)-1]}
	return o.why()
}

// deadNext says what becomes of a dead letter.
func (s *adminSource) deadNext(d *DeadLetter) string {
	return fmt.Sprintf("It is dead since %s because: %s. Replay or drop it by its key, %s; on %s it is deleted.",
		d.Died.UTC().Format(time.RFC3339), d.Reason, d.Key, d.Died.Add(s.cfg().keepDead).UTC().Format(time.DateOnly))
}
