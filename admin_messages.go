package repeater

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/webhook-repeater/repeater/internal/admin"
)

func (s *adminSource) Messages(ctx context.Context, lane, cursor string, max int) ([]admin.Message, string, error) {
	if s.inspect == nil {
		return nil, "", admin.ErrUnsupported
	}
	inner, offset, err := readCursor(lane, cursor)
	if err != nil {
		return nil, "", err
	}
	info, err := s.info(ctx, lane)
	if err != nil {
		return nil, "", s.told(err)
	}
	waiting, next, err := s.inspect.Waiting(ctx, lane, inner, max)
	if err != nil {
		return nil, "", s.told(err)
	}
	messages := make([]admin.Message, len(waiting))
	for i := range waiting {
		waiting[i].Ahead = offset + i
		messages[i] = s.waiting(&waiting[i], info)
	}
	return messages, makeCursor(lane, next, offset+len(waiting)), s.told(nil)
}

// waiting tells of a message that is not dead.
func (s *adminSource) waiting(w *WaitingMessage, info LaneInfo) admin.Message {
	last, _ := s.r.seen.of(w.Lane).lastFailure()
	m := admin.Message{
		ID: w.Key.ID, Dest: w.Key.Dest, Route: w.Route, Lane: w.Lane, Received: w.Received.UTC(), Size: w.Size, Ahead: w.Ahead,
		Attempts: w.Attempts, History: adminHistory(w.History), Next: s.next(w, info, last), Status: adminStatus(w.Place),
	}
	due := w.Due
	if w.Place == PlaceReady || w.Place == PlaceDue {
		due = max(due, info.Wait)
	}
	if due > 0 && !info.Paused {
		m.Due = s.in(due)
	}
	if rt := s.cfg().byName[w.Route]; rt != nil && !info.Paused {
		m.Expires = s.in(rt.maxAge - w.Age)
	}
	return m
}

func adminStatus(p Place) admin.Status {
	switch p {
	case PlaceInHand:
		return admin.InHand
	case PlaceHeld:
		return admin.HeldBack
	case PlaceParked:
		return admin.Parked
	case PlaceDead:
		return admin.Dead
	}
	return admin.Waiting
}

func adminHistory(history []Attempt) []admin.Attempt {
	out := make([]admin.Attempt, len(history))
	for i, a := range history {
		out[i] = admin.Attempt{At: a.At.UTC(), Took: a.Took.Seconds(), Status: a.Status, Error: a.Error}
	}
	return out
}

// letter tells of a dead letter.
func (s *adminSource) letter(lane string, d *DeadLetter) admin.Message {
	died := d.Died.UTC()
	return admin.Message{
		ID: d.Key.ID, Dest: d.Key.Dest, Route: d.Route, Lane: lane, Status: admin.Dead, Received: d.Received.UTC(), Size: d.Size,
		Ahead: -1, Died: &died, Reason: d.Reason, Answer: strings.ToValidUTF8(string(d.Answer), "\uFFFD"),
		Attempts: d.Attempts, History: adminHistory(d.History), Next: s.deadNext(d),
	}
}

const (
	deadScan   = 5000 // letters that one call of Dead looks at, so that it ends
	leastDests = 64   // numbers of destinations that Explain looks for, whatever routes this process has
)

// Dead returns fewer than max where few match; then next goes on.
func (s *adminSource) Dead(ctx context.Context, f admin.Filter, cursor string, max int) ([]admin.Message, string, error) {
	inner, _, err := readCursor(f.Lane, cursor)
	if err != nil {
		return nil, "", err
	}
	if err := s.r.usable(); err != nil {
		return nil, "", s.told(err)
	}
	filter := deadFilter(f)
	var found []admin.Message
	for looked := 0; looked < deadScan; {
		letters, next, err := s.r.queue.Dead(ctx, f.Lane, inner, deadPage)
		if err != nil {
			return nil, "", s.told(err)
		}
		looked += len(letters)
		for i := range letters {
			if !filter.matches(&letters[i]) {
				continue
			}
			if len(found) == max { // so the page ended before this one
				_, next, err := s.r.queue.Dead(ctx, f.Lane, inner, i)
				if i == 0 {
					next = inner
				}
				return found, makeCursor(f.Lane, next, 0), s.told(err)
			}
			found = append(found, s.letter(f.Lane, &letters[i]))
		}
		if inner = next; next == "" {
			break
		}
	}
	return found, makeCursor(f.Lane, inner, 0), s.told(nil)
}

func deadFilter(f admin.Filter) DeadFilter {
	d := DeadFilter{Lane: f.Lane, From: f.From, To: f.To, Status: f.Status}
	for _, k := range f.Keys {
		if id, dest, ok := admin.SplitKey(k); ok {
			d.Keys = append(d.Keys, Key{id, dest})
		}
	}
	if f.Keys != nil && d.Keys == nil {
		d.Keys = []Key{} // none of them, not all
	}
	return d
}

func (s *adminSource) Replay(ctx context.Context, f admin.Filter) (int, error) {
	n, err := s.r.DeadLetters().replay(ctx, deadFilter(f), f.Max)
	return n, s.told(err)
}

func (s *adminSource) Drop(ctx context.Context, f admin.Filter) (int, error) {
	n, err := s.r.DeadLetters().drop(ctx, deadFilter(f), f.Max)
	return n, s.told(err)
}

// Explain also takes a key, "id.dest".
func (s *adminSource) Explain(ctx context.Context, id string) ([]admin.Message, error) {
	if s.inspect == nil {
		return nil, admin.ErrUnsupported
	}
	if err := s.r.usable(); err != nil {
		return nil, s.told(err)
	}
	found, err := s.find(ctx, id)
	if err != nil {
		return nil, s.told(err)
	}
	var story []admin.Message
	for i := range found {
		m, err := s.explain(ctx, &found[i])
		if errors.Is(err, ErrNotFound) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, s.told(err)
		}
		story = append(story, m)
	}
	if len(story) == 0 {
		return nil, admin.ErrNotFound
	}
	return story, s.told(nil)
}

func (s *adminSource) find(ctx context.Context, id string) ([]WaitingMessage, error) {
	if id == "" || len(id) > maxID+6 {
		return nil, nil
	}
	dests := leastDests
	for _, rt := range s.cfg().routes {
		dests = max(dests, len(rt.dests))
	}
	found, err := s.inspect.Find(ctx, id, dests)
	if err != nil || len(found) > 0 {
		return found, err
	}
	whole, dest, ok := admin.SplitKey(id)
	if !ok {
		return nil, nil
	}
	all, err := s.inspect.Find(ctx, whole, dests)
	for _, w := range all {
		if w.Key.Dest == dest {
			found = append(found, w)
		}
	}
	return found, err
}

func (s *adminSource) explain(ctx context.Context, w *WaitingMessage) (admin.Message, error) {
	if w.Place == PlaceDead {
		d, err := s.r.queue.Letter(ctx, w.Lane, w.Key)
		return s.letter(w.Lane, &d), err
	}
	info, err := s.info(ctx, w.Lane)
	return s.waiting(w, info), err
}

func (s *adminSource) Request(ctx context.Context, lane, id string, dest int) (*admin.Request, error) {
	if err := s.r.usable(); err != nil {
		return nil, s.told(err)
	}
	key := Key{id, dest}
	payload, err := s.r.queue.Payload(ctx, lane, key)
	if err != nil {
		return nil, s.told(err)
	}
	req, err := s.cfg().codec.Decode(key, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrUnreadable, err)
	}
	return &admin.Request{
		Method: req.Method, Path: req.Path + req.Query, Host: req.Host, Header: req.Header, Body: req.Body,
	}, s.told(nil)
}
