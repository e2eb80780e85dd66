package repeater

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// What a Queue tells its caller to decide upon. Test for them with errors.Is.
var (
	// ErrBusy is Claim's answer when somebody else works the lane.
	ErrBusy = errors.New("lane is claimed by another")
	// ErrStale is the answer to a token that no longer holds its lane.
	// Whatever came with it has changed nothing.
	ErrStale = errors.New("claim is stale")
	// ErrCorrupt marks a message whose stored bytes are not those that were pushed.
	ErrCorrupt = errors.New("stored message is corrupt")
	// ErrNotFound is the answer where a single message is named that is not stored.
	ErrNotFound = errors.New("no such message")
	// ErrClosed is the answer of a store, or of a Repeater, after Close.
	ErrClosed = errors.New("closed")
	// ErrLocked says that another process has the store's file open.
	ErrLocked = errors.New("store is in use by another process")
)

// Queue is a store of messages, in lanes. The Repeater knows HTTP and retry
// policy; a Queue knows order, claims and durability, and neither looks into
// the other. Bring your own with [WithQueue]; the suite in internal/queuetest
// states in code what this page says in words.
//
// A message is waiting, claimed, delivered or dead, nothing else. Delivered
// messages are gone; dead ones are kept until dropped or replayed. Every
// method is one atomic step: it has happened wholly or not at all, also when
// the process dies in the middle of it. An error means "not as far as I know":
// after a lost connection a Push may be stored all the same.
//
// Order: each lane hands out its messages in the order in which they were
// pushed, except those that were settled with SettleRetry and without Hold.
// Of the messages of a lane that share an OrderKey, only the oldest is ever
// waiting or claimed in this sense: the next one is handed out once it is
// delivered or dead. A Claim must not get slower with the number of messages
// that are held back so.
//
// Time: a store never takes a time from its caller; it gets durations and
// counts them on a clock of its own, which for a store of several processes is
// the store's, not the process's.
//
// Methods may be called from several goroutines, and end early with ctx's
// error when ctx ends. A ctx that has ended before the call changes nothing.
type Queue interface {
	// Push stores all messages of the batch, or none. It returns nil only
	// when all are stored, as durably as this store ever stores.
	//
	// Pushing a key again while it is stored, waiting or dead, changes
	// nothing and returns nil. (A store whose answer can get lost also
	// remembers keys delivered within the last minute.)
	//
	// With b.Dedupe set and a batch of the same mark pushed within its
	// DedupeFor, Push stores nothing and returns that batch's id; it
	// returns b.ID in all other cases. Mark and messages are stored in one step.
	//
	// The store must not change or keep payloads after Push has returned.
	Push(ctx context.Context, b Batch) (id string, err error)

	// Claim takes a lane, keeps it, and hands out messages to attempt, oldest
	// first. One holder at a time works a lane: while a claim lives, others
	// get ErrBusy. With an empty Token Claim takes a free lane (or one that
	// has never been heard of) and returns a fresh token; with a token it
	// renews that claim, or returns ErrStale if another has taken the lane since.
	//
	// Messages handed out belong to the token until settled or released. If
	// the claim is taken over after its TTL, or the process ends, they wait again
	// in their old places, and the next holder gets them first.
	//
	// A record that fails its checksum is handed out with Err set to
	// ErrCorrupt and no payload, so that it can be settled as dead.
	Claim(ctx context.Context, c ClaimRequest) (Claim, error)

	// Settle ends the claims on messages, all of one lane, in one step.
	// A stale token changes nothing and returns ErrStale. A message that is
	// not claimed under this token is passed over. When Settle returns, the
	// store's other methods see the outcome; that a message was delivered may
	// become durable a moment later (a crash then repeats it, never loses it).
	Settle(ctx context.Context, lane, token string, s []Settlement) error

	// Release gives the lane back, and with it what the token still has
	// claimed, as if it had never been handed out. A stale token is no error.
	Release(ctx context.Context, lane, token string) error

	// Lanes lists lanes that have messages, waiting or dead, in the order of
	// their names: at most max of those after the given name ("" for the first).
	Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error)

	// Dead lists a lane's dead letters, the latest first: at most max from
	// the cursor on ("" for the first page). next is "" on the last page.
	Dead(ctx context.Context, lane, cursor string, max int) (letters []DeadLetter, next string, err error)

	// Payload returns what was pushed for a message that is stored in lane,
	// waiting or dead, or ErrNotFound, or ErrCorrupt.
	Payload(ctx context.Context, lane string, key Key) ([]byte, error)

	// Replay puts dead letters at the end of their lane, in the order given,
	// with no attempt counted. It passes over keys that are not dead letters of
	// this lane, and returns how many it has put back.
	Replay(ctx context.Context, lane string, keys []Key) (int, error)

	// Drop deletes dead letters for good. It passes over keys that are not
	// dead letters of this lane, and returns how many it has deleted.
	Drop(ctx context.Context, lane string, keys []Key) (int, error)
}

// SharedQueue is what a Queue has besides when several processes use it,
// perhaps with different routes during a rolling deployment.
type SharedQueue interface {
	Queue

	// Announce says which routes this process knows, and is repeated every
	// few seconds. From the first call on, Claim hands out only messages of
	// these routes; it sets others of the lane aside for processes that know them.
	Announce(ctx context.Context, routes []string) error

	// ExpireUnknown makes dead letters of messages whose route no process
	// has announced for the given time, and returns how many.
	ExpireUnknown(ctx context.Context, unknown time.Duration) (int, error)

	// Watch calls wake with the name of each lane that may have become
	// workable, also through other processes, until ctx ends or the connection
	// is lost. Wakes may be lost or be too many: a hint, not a promise.
	Watch(ctx context.Context, wake func(lane string)) error
}

// Key names a message everywhere: the id of the accepted request, and the
// number of the destination among those of its route, from 0.
type Key struct {
	ID   string
	Dest int
}

// String returns the id and the destination's number, joined by a dot.
func (k Key) String() string { return k.ID + "." + strconv.Itoa(k.Dest) }

// Batch is one accepted request: its messages are stored together or not at all.
type Batch struct {
	ID        string        // not empty; at most 255 bytes
	Route     string        // name of the route that accepted it
	Received  time.Time     // when; kept for people, no rule depends on it
	Dedupe    string        // mark under which it is stored only once; "" for none
	DedupeFor time.Duration // how long the mark lives
	Messages  []Message     // at least one; each Dest once
}

// Message is what goes to one destination.
type Message struct {
	Dest     int    // the destination's number within the route
	Lane     string // not empty; at most 1,024 bytes
	OrderKey string // messages of one lane and key keep their order at any concurrency; "" for none
	Payload  []byte // opaque to the store; may be empty
}

// ClaimRequest is the question Claim answers.
type ClaimRequest struct {
	Lane     string
	Token    string        // of the claim to continue; "" to take a free lane
	Max      int           // hand out at most so many messages; 0 only takes or renews
	MaxBytes int64         // and payloads of about so many bytes, but always one; 0 for no bound
	TTL      time.Duration // from now on; then others may take the lane
}

// Claim is a lane in hand.
type Claim struct {
	Token    string
	Messages []Claimed     // oldest first
	More     bool          // there would have been more, but for Max or MaxBytes
	Wait     time.Duration // without More: when something may be due; 0 if nothing is known to wait
	Failures int           // settlements with Hold since a message of the lane was last delivered or dead
	Yield    bool          // another process should have the lane soon: release it when convenient
}

// Claimed is a message in hand.
type Claimed struct {
	Key      Key
	Route    string
	Received time.Time
	Attempts int    // recorded before this one
	Payload  []byte // the caller's to keep, not to change
	Err      error  // ErrCorrupt, and no payload; else nil
}

// SettleKind says what becomes of a claimed message.
type SettleKind uint8

const (
	// SettleDelivered: it has arrived; forget it.
	SettleDelivered SettleKind = iota
	// SettleRetry: it waits again and is due After from now. With Hold it
	// keeps its place and its lane hands out nothing before; without, the lane goes on.
	SettleRetry
	// SettleDead: it is kept as a dead letter, with Reason.
	SettleDead
	// SettleRelease: it waits again in its old place, as if never handed out.
	SettleRelease
)

// Settlement is the outcome of one claimed message.
type Settlement struct {
	Key     Key
	Kind    SettleKind
	After   time.Duration // SettleRetry: due so much later
	Hold    bool          // SettleRetry: the whole lane waits, with this message in its place
	Reason  string        // SettleDead: why, for people
	Attempt Attempt       // what was tried, for SettleRetry and SettleDead; not recorded if At is zero
}

// Attempt is one try to deliver a message, as recorded with it.
// A store keeps the first few and the last few of a long series.
type Attempt struct {
	At     time.Time     // when it started
	Took   time.Duration // until its outcome was known
	Status int           // the destination's answer; 0 if there was none
	Error  string        // why there was none, without secrets
}

// LaneInfo is a lane as Lanes lists it.
type LaneInfo struct {
	Name     string
	Waiting  int           // messages neither delivered nor dead, those in hand included
	Parked   int           // of those, set aside because no process here knows their route
	Bytes    int64         // payload bytes of the waiting
	Dead     int           // dead letters
	Failures int           // as in Claim
	Wait     time.Duration // pause left before anything is handed out
	Held     bool          // somebody works the lane
}

// DeadLetter is a message that is no longer tried.
type DeadLetter struct {
	Key      Key
	Route    string
	Received time.Time
	Died     time.Time
	Size     int // of the payload, in bytes
	Attempts int // recorded in all
	History  []Attempt
	Reason   string
}
