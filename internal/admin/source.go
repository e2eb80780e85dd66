// Package admin serves what an operator looks at and sets right: a JSON API, and pages for people. It
// knows no store and no retry policy; all that it tells comes from a [Source].
package admin

import (
	"context"
	"errors"
	"time"
)

// What a Source tells its caller to decide upon.
var (
	// ErrNotFound is the answer where a message is named that is not stored.
	ErrNotFound = errors.New("no such message")
	// ErrUnsupported is the answer where the store cannot tell, as it is a third party's.
	ErrUnsupported = errors.New("this store cannot tell")
	// ErrHidden is Request's answer where requests are not to be shown.
	ErrHidden = errors.New("requests are not shown")
	// ErrBadCursor is the answer to a cursor that no page has given.
	ErrBadCursor = errors.New("no cursor of this list")
	// ErrUnreadable is Request's answer where a message is stored, but damaged, or under another key.
	ErrUnreadable = errors.New("the stored request cannot be read")
)

// Source is the Repeater, as its operator sees it. Its methods may be called concurrently.
// What it returns holds no secret: no source path, no credentials, no query of a URL.
// Request alone returns what came, as it came.
type Source interface {
	// Lanes returns every lane that has a route here or messages, by name.
	Lanes(ctx context.Context) ([]Lane, error)
	// Lane returns one of them; a lane that has neither is ErrNotFound.
	Lane(ctx context.Context, name string) (Lane, error)
	// Messages returns what waits in a lane, in the order in which it will be attempted:
	// at most max from the cursor on ("" for the first page); next is "" on the last page.
	Messages(ctx context.Context, lane, cursor string, max int) (page []Message, next string, err error)
	// Dead returns the dead letters of one lane that match, the latest first.
	Dead(ctx context.Context, f Filter, cursor string, max int) (page []Message, next string, err error)
	// Explain returns every message of an accepted request, with its whole story. ErrNotFound
	// means never accepted here, or delivered, or dropped.
	Explain(ctx context.Context, id string) ([]Message, error)
	// Request returns what is stored of a message. Whoever sees it sees secrets.
	Request(ctx context.Context, lane, id string, dest int) (*Request, error)

	Pause(ctx context.Context, lane string) error
	Resume(ctx context.Context, lane string) error
	RetryNow(ctx context.Context, lane string) error
	DropRefused(ctx context.Context, lane string) error
	// Replay and Drop tell how many dead letters they have moved or deleted, those that died first first.
	Replay(ctx context.Context, f Filter) (int, error)
	Drop(ctx context.Context, f Filter) (int, error)

	// Health tells at once whether requests are stored and delivered.
	Health(ctx context.Context) Health
	// Config describes the routes, and has a fingerprint that changes with the configuration.
	Config() Config
}

// State says in one word how a lane is.
type State string

const (
	Well     State = "well"     // it delivers, or has nothing to deliver
	Unwell   State = "unwell"   // its destination fails: it waits, then probes
	Refusing State = "refusing" // its destination refuses one message after the other
	Failing  State = "failing"  // its destination answers, but fails each message by itself
	Paused   State = "paused"   // by an operator
	Behind   State = "behind"   // its backlog grows although the destination is well
)

// Lane is the queue of one destination.
type Lane struct {
	Name     string   `json:"name"`
	State    State    `json:"state"`
	Why      string   `json:"why"` // one sentence: what is the matter, and what happens next
	Routes   []string `json:"routes"`
	Waiting  int      `json:"waiting"` // messages, those in hand included
	Parked   int      `json:"parked"`  // of those, set aside: no process here knows their route
	Bytes    int64    `json:"bytes"`
	Dead     int      `json:"dead"`
	Failures int      `json:"failures"` // pauses in a row
	Refusals int      `json:"refusals"` // in a row
	Held     bool     `json:"held"`     // some process works it

	OldestAge   float64    `json:"oldest_age_s"`           // of what waits, in seconds; 0 if nothing does
	NextAttempt *time.Time `json:"next_attempt,omitempty"` // end of the pause, or when the head is due

	LastError   string     `json:"last_error,omitempty"` // of the last attempt that failed, as seen by this process
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`

	// As this process has seen it; the latest value stands last. One value each ten seconds, ten minutes back.
	AcceptedPerSecond  []float64 `json:"accepted_per_second"`
	DeliveredPerSecond []float64 `json:"delivered_per_second"`
	Depth              []int     `json:"depth"`

	Concurrency int     `json:"concurrency"`
	Strict      bool    `json:"strict"`
	Pace        float64 `json:"pace_s"` // least time between the starts of two attempts, in seconds
}

// Status says what a message does.
type Status string

const (
	Waiting  Status = "waiting"   // for its turn, or for its next attempt at Due
	InHand   Status = "in hand"   // claimed by the process that works the lane
	HeldBack Status = "held back" // behind an older message of the same order key
	Parked   Status = "parked"    // no process here knows its route
	Dead     Status = "dead"      // a dead letter
)

// Message is one accepted request for one destination.
type Message struct {
	ID       string     `json:"id"`
	Dest     int        `json:"dest"`
	Route    string     `json:"route"`
	Lane     string     `json:"lane"`
	Status   Status     `json:"status"`
	Received time.Time  `json:"received"`
	Size     int        `json:"size"`              // of what is stored, in bytes
	Ahead    int        `json:"ahead"`             // messages before it in its lane, as far as is known; -1 if not
	Due      *time.Time `json:"due,omitempty"`     // its next attempt comes not before
	Expires  *time.Time `json:"expires,omitempty"` // when it will be given up
	Died     *time.Time `json:"died,omitempty"`
	Reason   string     `json:"reason,omitempty"` // why it is dead
	Answer   string     `json:"answer,omitempty"` // how the destination's last answer began; only where payloads are shown
	Attempts int        `json:"attempts"`         // in all
	History  []Attempt  `json:"history"`          // the first few and the last few
	Next     string     `json:"next"`             // one sentence: what happens next
}

// Attempt is one try to deliver.
type Attempt struct {
	At     time.Time `json:"at"`
	Took   float64   `json:"took_s"`           // in seconds
	Status int       `json:"status,omitempty"` // of the destination's answer
	Error  string    `json:"error,omitempty"`  // why there was none
}

// Request is what a sender has sent.
type Request struct {
	Method string              `json:"method"`
	Path   string              `json:"path"` // raw, with the query
	Host   string              `json:"host"`
	Header map[string][]string `json:"header"`
	Body   []byte              `json:"body"`
}

// Filter says which dead letters are meant: those to which all of it applies. Keys are "id.dest".
type Filter struct {
	Lane   string    `json:"lane,omitempty"`
	Keys   []string  `json:"keys,omitempty"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Status int       `json:"status,omitempty"` // of the last answer; 0 for any, -1 for none
	Max    int       `json:"max,omitempty"`    // for Replay and Drop: of so many at most; 0 for all
}

// Health is whether the Repeater does its work.
type Health struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons"` // why not; empty when ready
	Version string   `json:"version"`
}

// Config is what the Repeater has been told to do, without secrets.
type Config struct {
	Fingerprint string  `json:"fingerprint"`
	Routes      []Route `json:"routes"`
}

// Route is one of them.
type Route struct {
	Name  string   `json:"name"`
	Lanes []string `json:"lanes"` // of its destinations, in their order
}
