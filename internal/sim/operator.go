package sim

import (
	"context"
	"time"

	"github.com/webhook-repeater/repeater"
)

type orderKind int

const (
	pauses orderKind = iota
	resumes
	retriesNow
	forgives
	replays
	dropsOne
)

// order is something that an operator does.
type order struct {
	at      time.Duration
	kind    orderKind
	lane    string
	process int
}

// carryOut gives an order through a process that lives. That the store fails is not the operator's concern.
func (w *world) carryOut(o order) {
	p := w.door(o.process)
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	letters := p.rp.DeadLetters()
	switch o.kind {
	case pauses:
		_ = p.rp.Pause(ctx, o.lane)
	case resumes:
		_ = p.rp.Resume(ctx, o.lane)
	case retriesNow:
		_ = p.rp.RetryNow(ctx, o.lane)
	case forgives:
		_ = p.rp.DropRefused(ctx, o.lane)
	case replays:
		_, _ = letters.Replay(ctx, repeater.DeadFilter{Lane: o.lane})
	case dropsOne:
		if page, _, err := letters.List(ctx, o.lane, "", 1); err == nil && len(page) > 0 {
			_, _ = letters.Drop(ctx, repeater.DeadFilter{Lane: o.lane, Keys: []repeater.Key{page[0].Key}})
		}
	}
}
