package repeater

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// DeadLetters gives access to the messages that a [Repeater] no longer tries to deliver. They are
// kept for 30 days (see [WithDeadLetterAge]), to be looked at, replayed, or dropped. Its methods
// may be called concurrently, and from any process that shares the store.
type DeadLetters struct{ r *Repeater }

// DeadLetters returns the Repeater's dead letters.
func (r *Repeater) DeadLetters() DeadLetters { return DeadLetters{r} }

// DeadFilter selects the dead letters that match all of its fields. The zero value selects every
// dead letter of every lane: a filter made from user input that may be empty has to be checked
// before it is passed to [DeadLetters.Drop] or [DeadLetters.Replay].
//
// From and To are compared with [DeadLetter.Died], which is the time of the Redis server, or for
// the file store that of the machine when the message died.
type DeadFilter struct {
	Lane   string    // "" for all lanes
	Keys   []Key     // nil for all; an empty one that is not nil matches none
	From   time.Time // died then or later; zero for no bound
	To     time.Time // died before; zero for no bound
	Status int       // of the last attempt's answer; 0 for any, -1 for no answer
}

func (f *DeadFilter) matches(d *DeadLetter) bool {
	status := 0
	if n := len(d.History); n > 0 {
		status = d.History[n-1].Status
	}
	switch {
	case f.Keys != nil && !slices.Contains(f.Keys, d.Key),
		!f.From.IsZero() && d.Died.Before(f.From),
		!f.To.IsZero() && !d.Died.Before(f.To),
		f.Status > 0 && status != f.Status,
		f.Status < 0 && status != 0:
		return false
	}
	return true
}

// List returns dead letters of a lane, the latest first: at most max from the cursor on ("" for the
// first page). next is the cursor of the next page, "" on the last. max must be at least 1: with 0
// nothing is returned, and what a negative max returns depends on the store. An unknown lane has no
// dead letters, which is no error. Text that is no cursor is an error if the store knows the lane.
func (d DeadLetters) List(ctx context.Context, lane, cursor string, max int) (letters []DeadLetter, next string, err error) {
	if err := d.r.usable(); err != nil {
		return nil, "", err
	}
	return d.r.queue.Dead(ctx, lane, cursor, max)
}

// Show returns one dead letter and its request, body included and decrypted: mind who may see it.
// The error is [ErrNotFound] if there is none. If only the request cannot be read ([ErrCorrupt], or
// the [Codec]'s error), the letter is returned with the error.
func (d DeadLetters) Show(ctx context.Context, lane string, key Key) (DeadLetter, *Request, error) {
	if err := d.r.usable(); err != nil {
		return DeadLetter{}, nil, err
	}
	letter, err := d.r.queue.Letter(ctx, lane, key)
	if err != nil {
		return DeadLetter{}, nil, err
	}
	payload, err := d.r.queue.Payload(ctx, lane, key)
	if err != nil {
		return letter, nil, err
	}
	req, err := d.r.config().codec.Decode(key, payload)
	if err != nil {
		return letter, nil, fmt.Errorf("cannot decode: %w", err)
	}
	return letter, req, nil
}

// Replay puts the dead letters that match back into their lanes, behind what waits there, in the
// order in which they died. They keep their ids and begin a new series of attempts. It returns how
// many; after an error the rest are still dead letters.
func (d DeadLetters) Replay(ctx context.Context, f DeadFilter) (int, error) {
	return d.replay(ctx, f, 0)
}

func (d DeadLetters) replay(ctx context.Context, f DeadFilter, max int) (int, error) {
	return d.each(ctx, f, max, func(lane string, keys []Key) (int, error) {
		n, err := d.r.queue.Replay(ctx, lane, keys)
		if w := d.r.worker.Load(); w != nil && n > 0 {
			w.wake(lane)
		}
		return n, err
	})
}

// Drop deletes the dead letters that match, for good; with the zero [DeadFilter], such as one made
// from empty user input, it deletes all of them in all lanes. It returns how many; after an error
// the rest are still there.
func (d DeadLetters) Drop(ctx context.Context, f DeadFilter) (int, error) {
	return d.drop(ctx, f, 0)
}

func (d DeadLetters) drop(ctx context.Context, f DeadFilter, max int) (int, error) {
	return d.each(ctx, f, max, func(lane string, keys []Key) (int, error) {
		return d.r.queue.Drop(ctx, lane, keys)
	})
}

const deadPage = 200 // letters handled in one step, so that deliveries need not wait for long

// each calls do with what matches, in the order of the deaths, for max letters at most unless that is 0. All of
// it is found before anything is done: what dies anew meanwhile is not meant.
func (d DeadLetters) each(ctx context.Context, f DeadFilter, max int, do func(lane string, keys []Key) (int, error)) (n int, err error) {
	if err := d.r.usable(); err != nil {
		return 0, err
	}
	lanes := []string{f.Lane}
	if f.Lane == "" {
		if lanes, err = d.lanes(ctx); err != nil {
			return 0, err
		}
	}
	for _, lane := range lanes {
		if max > 0 && n >= max {
			break
		}
		keys, err := d.find(ctx, lane, f)
		if err != nil {
			return n, err
		}
		if max > 0 {
			keys = keys[:min(len(keys), max-n)]
		}
		for page := range slices.Chunk(keys, deadPage) {
			done, err := do(lane, page)
			n += done
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (d DeadLetters) lanes(ctx context.Context) (names []string, err error) {
	err = eachLane(ctx, d.r.queue, func(info LaneInfo) {
		if info.Dead > 0 {
			names = append(names, info.Name)
		}
	})
	return names, err
}

func (d DeadLetters) find(ctx context.Context, lane string, f DeadFilter) (keys []Key, err error) {
	for cursor := ""; ; {
		letters, next, err := d.r.queue.Dead(ctx, lane, cursor, deadPage)
		if err != nil {
			return nil, err
		}
		for i := range letters {
			if f.matches(&letters[i]) {
				keys = append(keys, letters[i].Key)
			}
		}
		if next == "" {
			slices.Reverse(keys)
			return keys, nil
		}
		cursor = next
	}
}
