package repeater_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// sharer is a process that keeps its lanes busy, as far as this test needs one.
type sharer struct {
	repeater.SharedQueue
	tokens map[string]string // of the lanes it holds
}

func newSharer(t *testing.T, server *miniredis.Miniredis) *sharer {
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return &sharer{repeater.NewRedisQueue(client, ""), make(map[string]string)}
}

func (s *sharer) take(t *testing.T, lane string) {
	t.Helper()
	s.tokens[lane] = mustClaim(t, s, lane, "", 1).Token
}

// renew continues every claim, and gives up the lanes that others should have.
func (s *sharer) renew(t *testing.T) (given []string) {
	t.Helper()
	for lane, token := range s.tokens {
		if mustClaim(t, s, lane, token, 0).Yield {
			mustRelease(t, s, lane, token)
			delete(s.tokens, lane)
			given = append(given, lane)
		}
	}
	return given
}

// A process that comes late gets its share of the busy lanes, and no lane moves twice.
func TestRedisShares(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetTime(now)
	early, late, other := newSharer(t, server), newSharer(t, server), newSharer(t, server)
	const lanes = 21
	for i := range lanes {
		lane := fmt.Sprint("lane ", i)
		mustPush(t, early, redisBatch("1", "r", lane))
		early.take(t, lane)
	}
	moved := 0
	for range 10 {
		now = now.Add(6 * time.Second)
		server.SetTime(now)
		mustAnnounce(t, early, "r", "s")
		mustAnnounce(t, other, "r") // could not deliver all of it, so does not count
		mustAnnounce(t, late, "s", "r")
		given := early.renew(t)
		if n := len(given); moved+n > lanes/2 || n > 6 {
			t.Fatalf("%d lanes are given up after %d", n, moved)
		}
		moved += len(given)
		for _, lane := range given {
			late.take(t, lane)
		}
		if back := late.renew(t); len(back) > 0 {
			t.Fatalf("the late process gives up %v", back)
		}
	}
	if len(late.tokens) != lanes/2 {
		t.Errorf("the late process holds %d lanes of %d", len(late.tokens), lanes)
	}

	now = now.Add(time.Minute) // the late process is gone: its lanes come back, and stay
	server.SetTime(now)
	for lane := range late.tokens {
		early.take(t, lane)
	}
	for range 3 {
		now = now.Add(6 * time.Second)
		server.SetTime(now)
		mustAnnounce(t, early, "r", "s")
		if given := early.renew(t); len(given) > 0 {
			t.Fatalf("%v are given up to nobody", given)
		}
	}
}

// A lane that has just been taken is not given up again.
func TestRedisSharesKeep(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetTime(now)
	q, other := newSharer(t, server), newSharer(t, server)
	for _, lane := range []string{"a", "b"} {
		q.take(t, lane)
	}
	mustAnnounce(t, other, "r")
	mustAnnounce(t, q, "r")
	if given := q.renew(t); len(given) > 0 {
		t.Fatalf("%v are given up at once", given)
	}
	server.SetTime(now.Add(6 * time.Second))
	if given := q.renew(t); len(given) != 1 {
		t.Fatalf("%v are given up, want one of two", given)
	}
}

// A holder may take its time to give up a lane: no further one goes in its stead.
func TestRedisSharesWait(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetTime(now)
	q, other := newSharer(t, server), newSharer(t, server)
	for _, lane := range []string{"a", "b", "c", "d"} {
		q.take(t, lane)
	}
	for range 6 {
		now = now.Add(6 * time.Second)
		server.SetTime(now)
		mustAnnounce(t, other, "r")
		mustAnnounce(t, q, "r")
		yields := 0
		for lane, token := range q.tokens {
			if mustClaim(t, q, lane, token, 0).Yield {
				yields++
			}
		}
		if yields > 2 {
			t.Fatalf("%d of 4 lanes are to be given up", yields)
		}
	}
}
