// Package metrics counts what a Repeater does, for Prometheus. Labels are names of routes and lanes, and
// words of fixed lists: never a path, an id, or what a sender has chosen.
//
// Methods of a nil *Set, *Route or *Lane do nothing, so that who does not count pays for one comparison.
package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Set is all metrics of one Repeater. It is a prometheus.Collector.
type Set struct {
	all []prometheus.Collector

	accepted, duplicates, storedBytes, refused *prometheus.CounterVec
	attempts, dead, claimsLost                 *prometheus.CounterVec
	took, age                                  *prometheus.HistogramVec
	push, commit, batch                        prometheus.Histogram

	lanes sync.Map // name -> *Lane
}

// Outcomes of attempts.
const (
	Delivered = iota // the destination has it
	Unwell           // the destination cannot take anything
	Failed           // the destination fails this message
	Refused          // the destination will never take it
	Gone             // nobody wants it any more
	outcomes
)

var outcomeNames = [outcomes]string{"delivered", "unwell", "failed", "refused", "gone"}

// Why a message is dead.
const (
	DeadRefused     = iota // by the destination, for good
	DeadGivenUp            // too old, or tried too often
	DeadUntried            // it could not even be tried: no route, or not readable
	DeadUnknown            // no process has announced its route for long
	reasonsForDeath        // how many there are
)

var deathNames = [reasonsForDeath]string{"refused", "given_up", "untried", "unknown_route"}

// New returns metrics that begin at zero. What lanes hold is asked of the function at each
// collection.
func New(look Look) *Set {
	s := &Set{
		accepted:    counter("requests_accepted_total", "Requests that were stored, repeated ones included.", "route"),
		duplicates:  counter("requests_repeated_total", "Of the accepted requests, those that were stored before.", "route"),
		storedBytes: counter("stored_bytes_total", "Bytes of requests handed to the store, once for each destination.", "route"),
		refused:     counter("requests_refused_total", "Requests that were not taken, by reason; without a route where none matched.", "route", "reason"),
		attempts:    counter("attempts_total", "Attempts to deliver, by what their outcome means.", "lane", "outcome"),
		dead:        counter("dead_letters_total", "Messages that became dead letters.", "lane", "reason"),
		claimsLost:  counter("claims_lost_total", "Times that another process took a lane from this one, which was too slow.", "lane"),
		took: histogramVec("attempt_duration_seconds", "How long attempts took, whatever their outcome.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}),
		age: histogramVec("delivery_age_seconds", "How long after their acceptance messages were delivered.",
			[]float64{.005, .025, .1, .5, 1, 5, 30, 60, 300, 1800, 3600, 21600, 86400, 259200}),
		push: histogram("push_duration_seconds", "How long the store took for an accepted request.",
			prometheus.ExponentialBuckets(.0001, 2.5, 13)),
		commit: histogram("commit_duration_seconds", "How long a transaction of the file store took, the fsync included.",
			prometheus.ExponentialBuckets(.0001, 2.5, 13)),
		batch: histogram("commit_operations", "How many operations shared a transaction of the file store.",
			prometheus.ExponentialBuckets(1, 2, 13)),
	}
	s.all = []prometheus.Collector{s.accepted, s.duplicates, s.storedBytes, s.refused, s.attempts, s.dead, s.claimsLost,
		s.took, s.age, s.push, s.commit, s.batch, depths{look}}
	return s
}

const namespace = "repeater"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogramVec(name, help string, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{"lane"})
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

// Describe implements prometheus.Collector.
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range s.all {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	for _, c := range s.all {
		c.Collect(ch)
	}
}

// Refuse counts a request that was not taken. It looks its counter up: whoever is refused may wait.
func (s *Set) Refuse(route, reason string) {
	if s != nil {
		s.refused.WithLabelValues(valid(route), reason).Inc()
	}
}

// Now is the time, for a measurement that begins.
func (s *Set) Now() (now time.Time) {
	if s != nil {
		now = time.Now()
	}
	return now
}

// Push notes that the store has taken a request that it was given then.
func (s *Set) Push(began time.Time) {
	if s != nil {
		s.push.Observe(time.Since(began).Seconds())
	}
}

// Commit notes a transaction of the file store.
func (s *Set) Commit(took time.Duration, operations int) {
	if s != nil {
		s.commit.Observe(took.Seconds())
		s.batch.Observe(float64(operations))
	}
}

// valid makes a label of a name, which may have any bytes.
func valid(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// Route is what is counted of one route.
type Route struct{ accepted, duplicates, storedBytes prometheus.Counter }

// Route returns the counters of a route.
func (s *Set) Route(name string) *Route {
	if s == nil {
		return nil
	}
	name = valid(name)
	return &Route{s.accepted.WithLabelValues(name), s.duplicates.WithLabelValues(name), s.storedBytes.WithLabelValues(name)}
}

// Accept counts a request that was stored, or had been before.
func (r *Route) Accept(bytes int, duplicate bool) {
	switch {
	case r == nil:
		return
	case duplicate:
		r.duplicates.Inc()
	default:
		r.storedBytes.Add(float64(bytes))
	}
	r.accepted.Inc()
}

// Lane is what is counted of one lane.
type Lane struct {
	attempts   [outcomes]prometheus.Counter
	dead       [reasonsForDeath]prometheus.Counter
	claimsLost prometheus.Counter
	took, age  prometheus.Observer
}

// Lane returns the counters of a lane, the same ones at each call.
func (s *Set) Lane(name string) *Lane {
	if s == nil {
		return nil
	}
	if l, ok := s.lanes.Load(name); ok {
		return l.(*Lane)
	}
	label := valid(name)
	l := &Lane{claimsLost: s.claimsLost.WithLabelValues(label), took: s.took.WithLabelValues(label), age: s.age.WithLabelValues(label)}
	for i, outcome := range outcomeNames {
		l.attempts[i] = s.attempts.WithLabelValues(label, outcome)
	}
	for i, reason := range deathNames {
		l.dead[i] = s.dead.WithLabelValues(label, reason)
	}
	known, _ := s.lanes.LoadOrStore(name, l)
	return known.(*Lane)
}

// Attempt counts an attempt, by its outcome.
func (l *Lane) Attempt(outcome int, took time.Duration) {
	if l != nil {
		l.attempts[outcome].Inc()
		l.took.Observe(took.Seconds())
	}
}

// Deliver notes how old a message was when it was delivered.
func (l *Lane) Deliver(age time.Duration) {
	if l != nil {
		l.age.Observe(max(0, age).Seconds())
	}
}

// Die counts n messages that became dead letters.
func (l *Lane) Die(reason, n int) {
	if l != nil {
		l.dead[reason].Add(float64(n))
	}
}

// LoseClaim counts that another process took the lane.
func (l *Lane) LoseClaim() {
	if l != nil {
		l.claimsLost.Inc()
	}
}
