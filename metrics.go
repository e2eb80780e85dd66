package repeater

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

// WithMetrics registers metrics with reg, whose names begin with "repeater_": how many requests
// were accepted and refused, how attempts ended and how long they took, how old messages were when
// they were delivered, and what each lane holds. New registers them, and Close removes them. Their
// labels are names of routes and lanes, and words of fixed lists. What lanes hold is asked of the
// store whenever metrics are collected. The default is not to count; nil means
// [prometheus.DefaultRegisterer].
//
// A registerer takes the metrics of one Repeater; a second one is a mistake that [Repeater.Err]
// returns. If there are several, give each labels of its own with [prometheus.WrapRegistererWith].
// [Repeater.Reload] keeps the registerer that New was given, and fails with [ErrRestart] if it is
// given another one. The last one holds.
func WithMetrics(reg prometheus.Registerer) Option {
	return func(c *config) {
		if reg == nil {
			reg = prometheus.DefaultRegisterer
		}
		c.registerer = reg
	}
}

// count begins to count, if that is wanted.
func (r *Repeater) count(c *config) error {
	if c.registerer == nil {
		return nil
	}
	stats := metrics.New(r.depths)
	if err := c.registerer.Register(stats); err != nil {
		if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
			err = errors.New("the registerer has the metrics of another Repeater: " +
				"give each Repeater labels of its own with prometheus.WrapRegistererWith")
		}
		return fmt.Errorf("WithMetrics: %w", err)
	}
	r.stats, r.uncount = stats, func() { c.registerer.Unregister(stats) }
	return nil
}

// countRoutes gives each route its counters.
func (c *config) countRoutes(stats *metrics.Set) {
	for _, rt := range c.routes {
		rt.stats = stats.Route(rt.name)
	}
}

// depths is what metrics tell of lanes.
func (r *Repeater) depths(ctx context.Context) ([]metrics.Depth, error) {
	lanes, err := r.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	ages, err := r.oldest(ctx, lanes)
	depths := make([]metrics.Depth, len(lanes))
	for i, l := range lanes {
		depths[i] = metrics.Depth{Name: l.Name, Messages: l.Waiting, Parked: l.Parked, Bytes: l.Bytes, Dead: l.Dead,
			State: string(stateOf(l, r.seen.of(l.Name))), Oldest: -1}
		if i < len(ages) {
			depths[i].Oldest = ages[i]
		}
	}
	return depths, err
}

// oldest returns the age of what waits longest in each lane, or nothing where the store cannot tell.
func (r *Repeater) oldest(ctx context.Context, lanes []LaneInfo) ([]time.Duration, error) {
	q, ok := r.queue.(InspectQueue)
	if !ok || len(lanes) == 0 {
		return nil, nil
	}
	names := make([]string, len(lanes))
	for i := range lanes {
		names[i] = lanes[i].Name
	}
	return q.Oldest(ctx, names)
}

// Why requests are refused, where the status of the answer does not say it.
const (
	refusedLaneFull = "lane_full"
	refusedMemory   = "no_memory"
	refusedStore    = "store"
	refusedCodec    = "codec"
)

// refusedStatus is what metrics call a status.
var refusedStatus = map[int]string{
	http.StatusBadRequest:                  "bad_request",
	http.StatusUnauthorized:                "signature",
	http.StatusForbidden:                   "sender",
	http.StatusNotFound:                    "no_route",
	http.StatusMethodNotAllowed:            "method",
	http.StatusRequestTimeout:              "slow_body",
	http.StatusRequestEntityTooLarge:       "body_too_large",
	http.StatusRequestHeaderFieldsTooLarge: "header_too_large",
	http.StatusLoopDetected:                "loop",
}

// countRefused counts a request that was not taken. Without a reason, the status says it.
func (r view) countRefused(rt *route, status int, reason string) {
	r.refused.add(status)
	if reason == "" {
		reason = refusedStatus[status]
	}
	r.span.refused(status, reason)
	if r.stats == nil {
		return
	}
	name := ""
	if rt != nil {
		name = rt.name
	}
	r.stats.Refuse(name, reason)
}

var outcomeOf = [...]int{
	VerdictDelivered: metrics.Delivered,
	VerdictUnwell:    metrics.Unwell,
	VerdictFailed:    metrics.Failed,
	VerdictRefused:   metrics.Refused,
	VerdictGone:      metrics.Gone,
}

// count counts an attempt, and what has become of its message.
func (l *lane) count(o *outcome, s *Settlement) {
	if l.stats == nil {
		return
	}
	if o.verdict != VerdictDefault {
		l.stats.Attempt(outcomeOf[o.verdict], o.attempt.Took)
	}
	switch {
	case s.Kind == SettleDelivered:
		l.stats.Deliver(l.cfg.clock().Sub(o.msg.Received))
	case s.Kind != SettleDead:
	case o.verdict == VerdictDefault:
		l.stats.Die(metrics.DeadUntried, 1)
	case s.Refused:
		l.stats.Die(metrics.DeadRefused, 1)
	default:
		l.stats.Die(metrics.DeadGivenUp, 1)
	}
}
