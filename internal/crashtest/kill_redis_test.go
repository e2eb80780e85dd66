package crashtest

import (
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
	"github.com/webhook-repeater/repeater/internal/witness"
)

// TestKillRedisStore kills a real Redis, which has every write on disk before it answers,
// and the program in turns. When Redis dies the program lives on, claim and all. But a killed
// program's lane is free only after its claim's time to live: of ten kills, the first
// two wait for deliveries to be under way, and the others meet requests being accepted.
func TestKillRedisStore(t *testing.T) {
	t.Parallel()
	r := seeded(t)
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	server := redistest.Start(t)
	s := newSetup(t, dest)
	s.store = "redis_url = redis://" + server.Addr() + "/0"
	senders := (&witness.Senders{Ledger: l, URLs: []string{s.url()}}).Start(t)
	dest.Up(t)
	p := s.start(t)
	programs, servers := 0, 0
	for n := range kills() {
		switch {
		case n%10 < 2:
			dest.Up(t)
			awaitDelivery(t, dest)
			trouble(t, dest, r)
		case r.IntN(4) == 0:
			dest.Down()
		default:
			dest.Up(t)
		}
		if r.IntN(5) > 0 { // else while it starts, or finds Redis again
			p.serving(t, l)
		}
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		if !p.Alive() {
			t.Fatal("the process ended before it was killed")
		}
		if n%2 == 0 {
			servers++
			server.Kill()
			time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
			server.Restart()
		} else {
			programs++
			p.Kill()
			p.suspects(l)
			p = s.start(t)
		}
	}
	dest.Unwell.Store(0)
	dest.Up(t)
	p.serving(t, l)
	senders.Stop()
	l.AwaitAll(patience)
	p.suspects(l)
	l.Settle(t, 2*patience)
	p.stop(t)
	s.empty(t, repeater.WithRedis(server.Client(t)))
	if l.Counts().Refused == 0 && !testing.Short() { // a few short deaths may all be bridged
		t.Error("no sender was refused: the death of Redis went unnoticed")
	}
	t.Logf("Redis: kills of the program %d, of Redis %d, %s", programs, servers, l.Counts())
}
