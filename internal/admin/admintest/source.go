// Package admintest has a Source for tests of the admin pages, which keeps everything in memory.
package admintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// Source is a Repeater that delivers when it is told to. Its fields may be set before it is used.
type Source struct {
	mu        sync.Mutex
	lanes     []*Lane
	down      map[string]bool
	orders    []string
	Fail      error // of every question
	Cannot    error // of Messages and Explain
	FailAfter int   // letters that Replay and Drop get done; 0 for all
	Sick      []string
	Routes    []admin.Route
	Prefix    string                    // of the fingerprint
	Requests  map[string]*admin.Request // by key; "" for every other message
}

// Lane is one queue with all that is in it.
type Lane struct {
	admin.Lane
	Queue   []admin.Message
	Letters []admin.Message // the latest first
}

// Add adds a lane. Its numbers of waiting and dead messages are counted, unless they are set.
func (s *Source) Add(l Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = append(s.lanes, &l)
	slices.SortFunc(s.lanes, func(a, b *Lane) int { return strings.Compare(a.Name, b.Name) })
	if len(l.Queue) > 0 && l.Waiting == 0 {
		l.Waiting = len(l.Queue)
	}
	if len(l.Letters) > 0 && l.Dead == 0 {
		l.Dead = len(l.Letters)
	}
}

// Set changes a lane. Its dead letters are counted anew.
func (s *Source) Set(name string, change func(*Lane)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		if l.Name == name {
			change(l)
			l.Dead = len(l.Letters)
		}
	}
}

// Remove removes a lane.
func (s *Source) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = slices.DeleteFunc(s.lanes, func(l *Lane) bool { return l.Name == name })
}

// Down says that a lane's destination does not answer from now on; Up that it does again.
func (s *Source) Down(lane string) { s.setDown(lane, true) }

// Up is the contrary of Down. What waits goes out with the next attempt.
func (s *Source) Up(lane string) { s.setDown(lane, false) }

func (s *Source) setDown(lane string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = map[string]bool{}
	}
	s.down[lane] = down
}

// Orders are what has been ordered so far, as in "pause http://x:80".
func (s *Source) Orders() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.orders)
}

func (s *Source) find(name string) (*Lane, error) {
	if s.Fail != nil {
		return nil, s.Fail
	}
	for _, l := range s.lanes {
		if l.Name == name {
			return l, nil
		}
	}
	return nil, admin.ErrNotFound
}

// Lanes is admin.Source's.
func (s *Source) Lanes(context.Context) ([]admin.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []admin.Lane
	for _, l := range s.lanes {
		all = append(all, l.Lane)
	}
	return all, s.Fail
}

// Lane is admin.Source's.
func (s *Source) Lane(_ context.Context, name string) (admin.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(name)
	if err != nil {
		return admin.Lane{}, err
	}
	return l.Lane, nil
}

// page cuts a page out of all; its cursor is a number.
func page(all []admin.Message, cursor string, most int) ([]admin.Message, string, error) {
	from := 0
	if cursor != "" {
		var err error
		if from, err = strconv.Atoi(cursor); err != nil || from < 0 || from > len(all) {
			return nil, "", fmt.Errorf("%w: %q", admin.ErrBadCursor, cursor)
		}
	}
	to := min(len(all), from+most)
	if to == len(all) {
		return slices.Clone(all[from:]), "", nil
	}
	return slices.Clone(all[from:to]), strconv.Itoa(to), nil
}

// Messages is admin.Source's.
func (s *Source) Messages(_ context.Context, lane, cursor string, most int) ([]admin.Message, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(lane)
	if err != nil {
		return nil, "", err
	}
	if s.Cannot != nil {
		return nil, "", s.Cannot
	}
	return page(l.Queue, cursor, most)
}

func key(m admin.Message) string { return m.ID + "." + strconv.Itoa(m.Dest) }

func matches(f admin.Filter, m admin.Message) bool {
	status := 0
	if n := len(m.History); n > 0 {
		status = m.History[n-1].Status
	}
	return (f.Lane == "" || f.Lane == m.Lane) &&
		(f.Keys == nil || slices.Contains(f.Keys, key(m))) &&
		(f.From.IsZero() || !m.Died.Before(f.From)) &&
		(f.To.IsZero() || m.Died.Before(f.To)) &&
		(f.Status == 0 || f.Status == status || f.Status == -1 && status == 0)
}

// Dead is admin.Source's.
func (s *Source) Dead(_ context.Context, f admin.Filter, cursor string, most int) ([]admin.Message, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(f.Lane)
	if err != nil {
		return nil, "", err
	}
	var found []admin.Message
	for _, m := range l.Letters {
		if matches(f, m) {
			found = append(found, m)
		}
	}
	return page(found, cursor, most)
}

// Explain is admin.Source's.
func (s *Source) Explain(_ context.Context, id string) ([]admin.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Fail != nil {
		return nil, s.Fail
	}
	if s.Cannot != nil {
		return nil, s.Cannot
	}
	var all []admin.Message
	for _, l := range s.lanes {
		for _, m := range slices.Concat(l.Queue, l.Letters) {
			if m.ID == id {
				all = append(all, m)
			}
		}
	}
	if all == nil {
		return nil, admin.ErrNotFound
	}
	slices.SortFunc(all, func(a, b admin.Message) int { return a.Dest - b.Dest })
	return all, nil
}

// Request is admin.Source's.
func (s *Source) Request(_ context.Context, lane, id string, dest int) (*admin.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(lane)
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Concat(l.Queue, l.Letters) {
		if m.ID != id || m.Dest != dest {
			continue
		}
		for _, k := range []string{key(m), ""} {
			if r := s.Requests[k]; r != nil {
				return r, nil
			}
		}
		return nil, fmt.Errorf("%w: checksum", admin.ErrUnreadable)
	}
	return nil, admin.ErrNotFound
}

// Pause is admin.Source's.
func (s *Source) Pause(_ context.Context, lane string) error {
	return s.order("pause", lane, func(l *Lane) {
		l.State, l.Why = admin.Paused, "Paused by an operator; nothing is sent until it is resumed."
	})
}

// Resume is admin.Source's.
func (s *Source) Resume(_ context.Context, lane string) error { return s.order("resume", lane, s.try) }

// RetryNow is admin.Source's.
func (s *Source) RetryNow(_ context.Context, lane string) error {
	return s.order("retry", lane, s.try)
}

// DropRefused is admin.Source's.
func (s *Source) DropRefused(_ context.Context, lane string) error {
	return s.order("drop refused", lane, s.try)
}

func (s *Source) order(verb, lane string, do func(*Lane)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(lane)
	if err != nil {
		return err
	}
	s.orders = append(s.orders, verb+" "+lane)
	do(l)
	return nil
}

// try sends everything that waits, if the destination answers.
func (s *Source) try(l *Lane) {
	now := time.Now()
	if s.down[l.Name] {
		next := now.Add(10 * time.Second)
		l.State, l.NextAttempt, l.Failures = admin.Unwell, &next, l.Failures+1
		l.Why = "The destination does not answer; it is tried again in 10 s."
		return
	}
	l.State, l.NextAttempt, l.Failures, l.Refusals = admin.Well, nil, 0, 0
	l.Why, l.OldestAge, l.Bytes = "It delivers as fast as requests come.", 0, 0
	l.Queue, l.Waiting, l.Depth = nil, 0, append(l.Depth, 0)
}

// Replay is admin.Source's.
func (s *Source) Replay(_ context.Context, f admin.Filter) (int, error) {
	return s.move("replay", f, func(l *Lane, m admin.Message) {
		m.Status, m.Died, m.Reason, m.Attempts, m.History, m.Next = admin.Waiting, nil, "", 0, nil, "It is tried when those before it have gone."
		l.Queue = append(l.Queue, m)
		l.Waiting++
		if l.State == admin.Well && !s.down[l.Name] {
			s.try(l)
		}
	})
}

// Drop is admin.Source's.
func (s *Source) Drop(_ context.Context, f admin.Filter) (int, error) {
	return s.move("drop", f, func(*Lane, admin.Message) {})
}

func (s *Source) move(verb string, f admin.Filter, do func(*Lane, admin.Message)) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Fail != nil {
		return 0, s.Fail
	}
	s.orders = append(s.orders, fmt.Sprintf("%s %s %v %d", verb, f.Lane, f.Keys, f.Status))
	for _, l := range s.lanes {
		var rest []admin.Message
		for _, m := range l.Letters {
			if !matches(f, m) || s.FailAfter > 0 && n == s.FailAfter {
				rest = append(rest, m)
				continue
			}
			n++
			l.Dead--
			do(l, m)
		}
		l.Letters = rest
	}
	if s.FailAfter > 0 {
		return n, errors.New("the connection is lost")
	}
	return n, nil
}

// Health is admin.Source's.
func (s *Source) Health(context.Context) admin.Health {
	return admin.Health{Ready: s.Sick == nil, Reasons: s.Sick, Version: "test"}
}

// Config is admin.Source's.
func (s *Source) Config() admin.Config {
	return admin.Config{Fingerprint: s.Prefix + "3f9c21d07b", Routes: s.Routes}
}
