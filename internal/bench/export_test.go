package bench

import (
	"context"
	"time"
)

// Play is one phase between a server under test and a destination.
type Play struct {
	sink *sink
	t    *tally
}

// NewPlay has a destination that counts up to so many requests.
func NewPlay(connections, requests int) (*Play, error) {
	s, err := newSink()
	if err != nil {
		return nil, err
	}
	p := &Play{sink: s, t: newTally(1, connections, requests)}
	s.count(p.t)
	return p, nil
}

// URL is the destination's.
func (p *Play) URL() string { return p.sink.url() }

// Down has the destination answer 503, or 200 again.
func (p *Play) Down(down bool) { p.sink.down.Store(down) }

// Close ends the destination.
func (p *Play) Close() { p.sink.close() }

// Send sends what the play was made for; a rate of 0 is as fast as answers come.
func (p *Play) Send(ctx context.Context, addr string, rate float64) error {
	return load{addr: addr, path: "/", connections: len(p.t.latest), size: 100, rate: rate}.send(ctx, p.t)
}

// Await returns what is lost.
func (p *Play) Await(ctx context.Context, patience time.Duration) int {
	return p.t.await(ctx, patience)
}

// Arrive notes request n of a connection.
func (p *Play) Arrive(conn, n int) { p.t.arrive(conn, n) }

// Twice and the others are what has been counted.
func (p *Play) Twice() int         { return p.t.twice }
func (p *Play) Disorder() int      { return p.t.disorder }
func (p *Play) Refused() int64     { return p.t.refused.Load() }
func (p *Play) Arrived() int       { return p.t.count }
func (p *Play) Slowest() float64   { return quantiles(p.t.took, 1)[0] }
func (p *Play) Now() time.Duration { return p.t.now() }

// Quantiles is quantiles.
func Quantiles(values []time.Duration, at ...float64) []float64 { return quantiles(values, at...) }

// NewReport, AddRate and AddTook make a report as a run does.
func NewReport(o Options) *Report                             { return newReport(o) }
func (r *Report) AddRate(name string, perSecond, cpu float64) { r.rate(name, perSecond, cpu) }
func (r *Report) AddTook(name string, took ...time.Duration)  { r.latency(name, took) }
