package repeater

import (
	"context"
	"errors"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// adminSource tells of a Repeater what package admin asks.
type adminSource struct {
	r       *Repeater
	inspect InspectQueue // nil where the store is none
	trouble outage
}

func newAdminSource(r *Repeater) *adminSource {
	s := &adminSource{r: r}
	s.inspect, _ = r.queue.(InspectQueue)
	return s
}

func (s *adminSource) cfg() *config { return s.r.config() }

func (s *adminSource) Config() admin.Config { return s.cfg().describe() }

// told makes an error one of package admin's. What else the store has to say goes to the log, as it may name its address.
func (s *adminSource) told(err error) error {
	switch {
	case err == nil:
		s.trouble.works(s.cfg().log, "admin: the store answers again")
		return nil
	case errors.Is(err, ErrNotFound):
		return admin.ErrNotFound
	case errors.Is(err, ErrCorrupt):
		return admin.ErrUnreadable
	case errors.Is(err, context.Canceled):
		return err
	}
	s.trouble.fails(s.cfg().log, "admin: the store fails", "error", err)
	return err
}

func (s *adminSource) Pause(ctx context.Context, lane string) error {
	return s.told(s.r.Pause(ctx, lane))
}

func (s *adminSource) Resume(ctx context.Context, lane string) error {
	return s.told(s.r.Resume(ctx, lane))
}

func (s *adminSource) RetryNow(ctx context.Context, lane string) error {
	return s.told(s.r.RetryNow(ctx, lane))
}

func (s *adminSource) DropRefused(ctx context.Context, lane string) error {
	return s.told(s.r.DropRefused(ctx, lane))
}

// healthTimeout is how long the store may take to show that it is there.
const healthTimeout = 3 * time.Second

// prober is a store that can tell more of itself than that it answers.
type prober interface {
	// probe returns why requests cannot be stored.
	probe(ctx context.Context) error
	// delivering tells whether another process has lately been delivering from the store.
	delivering(ctx context.Context) (bool, error)
}

// Health asks the store for next to nothing, and says nothing of its address.
func (s *adminSource) Health(ctx context.Context) admin.Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	h := admin.Health{Reasons: []string{}}
	say := func(why string) { h.Reasons = append(h.Reasons, why) }
	if s.r.usable() != nil {
		say("the repeater is closed")
		return h
	}
	_, err := s.r.queue.Lanes(ctx, "", 1)
	store, probing := s.r.queue.(prober)
	if err == nil && probing {
		err = store.probe(ctx)
	}
	switch {
	case errors.Is(err, ErrFull):
		say("the store has no room: senders are told to try again")
	case err != nil:
		_ = s.told(err)
		say("the store does not answer")
	}
	if s.r.worker.Load() == nil {
		elsewhere := false
		if err == nil && probing {
			elsewhere, _ = store.delivering(ctx)
		}
		if !elsewhere {
			say("nobody delivers: Run is not at work")
		}
	}
	h.Ready = len(h.Reasons) == 0
	return h
}

// A cursor of ours is the store's, where in the list it stands, and a sum that tells whether it is one.
func makeCursor(lane, inner string, offset int) string {
	if inner == "" {
		return ""
	}
	body := strconv.Itoa(offset) + "." + inner
	return strconv.FormatUint(uint64(cursorSum(lane, body)), 36) + "." + body
}

func readCursor(lane, cursor string) (inner string, offset int, err error) {
	if cursor == "" {
		return "", 0, nil
	}
	sum, body, _ := strings.Cut(cursor, ".")
	number, inner, ok := strings.Cut(body, ".")
	want := strconv.FormatUint(uint64(cursorSum(lane, body)), 36)
	offset, bad := strconv.Atoi(number)
	if !ok || bad != nil || sum != want {
		return "", 0, admin.ErrBadCursor
	}
	return inner, offset, nil
}

func cursorSum(lane, body string) uint32 {
	return crc32.Checksum([]byte(lane+"\x00"+body), castagnoli)
}
