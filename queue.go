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
	// ErrCorrupt marks a message whose stored bytes are not those that were pushed, or a
	// file store that is damaged and not used any more (see [RepairFile]).
	ErrCorrupt = errors.New("stored message is corrupt")
	// ErrNotFound is the answer where a single message is named that is not stored.
	ErrNotFound = errors.New("no such message")
	// ErrClosed is the answer of a store, or of a Repeater, after Close.
	ErrClosed = errors.New("closed")
	// ErrLocked says that another process has the store's file open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrFull is Push's answer when a lane has reached its bound, or the store
	// has no room. Nothing was stored.
	ErrFull = errors.New("store is full")
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
// pushed, except those that were settled with SettleRetry and without Hold,
// which come first once they are due.
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
	// When a lane of the batch already has as many messages or bytes waiting as
	// b.Bound allows, Push stores nothing and returns ErrFull. (That a key is
	// stored, or a mark known, is found first.)
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
	// A lane that is paused, by Hold or by LanePause, can be claimed but hands out nothing.
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

	// Steer carries out what an operator orders for a lane, whoever holds it. It is
	// as durable as a Push, and repeating it changes nothing more. A lane that has
	// never been heard of can be steered, too.
	Steer(ctx context.Context, lane string, order LaneOrder) error

	// Lanes lists lanes that have messages, waiting or dead, or are paused by an
	// operator, in the order of their names: at most max of those after the given
	// name ("" for the first).
	Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error)

	// Dead lists a lane's dead letters, the latest first: at most max from
	// the cursor on ("" for the first page). next is "" on the last page.
	Dead(ctx context.Context, lane, cursor string, max int) (letters []DeadLetter, next string, err error)

	// Letter returns one dead letter, or ErrNotFound.
	Letter(ctx context.Context, lane string, key Key) (DeadLetter, error)

	// Payload returns what was pushed for a message that is stored in lane,
	// waiting or dead, or ErrNotFound, or ErrCorrupt.
	Payload(ctx context.Context, lane string, key Key) ([]byte, error)

	// Replay puts dead letters at the end of their lane, in the order given, as
	// if just pushed: without attempts, history or age, but with their keys. It
	// passes over keys that are not dead letters of this lane, and returns how
	// many it has put back.
	Replay(ctx context.Context, lane string, keys []Key) (int, error)

	// Drop deletes dead letters for good. It passes over keys that are not
	// dead letters of this lane, and returns how many it has deleted.
	Drop(ctx context.Context, lane string, keys []Key) (int, error)

	// Prune deletes, oldest first, at most max dead letters of a lane that died
	// longer ago than older, and returns how many it has deleted.
	Prune(ctx context.Context, lane string, older time.Duration, max int) (int, error)
}

// SizedQueue is what a Queue has besides when it can tell, from memory and at
// once, how much waits in a lane. What it tells may be a little old. It lets a full lane
// be refused before a body is read; without it, only Push finds out.
type SizedQueue interface {
	Queue
	// Size returns the lane's waiting messages and their payload bytes. free is
	// how much more the store as a whole has room for, negative where it cannot know.
	Size(lane string) (messages int, bytes, free int64)
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

// InspectQueue is what a Queue has besides when an operator can look into its lanes: what
// [Repeater.Admin] needs to tell more than counts. Nothing of it is asked for while messages are
// accepted and delivered, so that it may be slow, but no single step of it may hold up the others: what has
// to look at many messages does so in several.
type InspectQueue interface {
	Queue

	// Waiting lists what waits in a lane: first what is in hand, then what is due, the ready, what is
	// due later, what is held back, and what is parked, each oldest or soonest first. It
	// returns at most max from the cursor on ("" for the first page); next is "" on the last
	// page. A message that moves between two pages may come twice, or not at all.
	Waiting(ctx context.Context, lane, cursor string, max int) (messages []WaitingMessage, next string, err error)

	// Find returns the stored messages of one id whose Dest is less than dests, in all lanes,
	// waiting or dead, by Dest. No message is no error.
	Find(ctx context.Context, id string, dests int) ([]WaitingMessage, error)

	// Oldest returns the age of the oldest message that waits in each of the lanes, 0 where none does.
	// Of those that are due by themselves it may look at the first 1,000 only.
	Oldest(ctx context.Context, lanes []string) ([]time.Duration, error)
}

// Place says where in its lane a message is.
type Place uint8

const (
	// PlaceReady: it is handed out in its turn.
	PlaceReady Place = iota
	// PlaceInHand: it is claimed.
	PlaceInHand
	// PlaceDue: it was settled with SettleRetry and without Hold, and is handed out once it is Due.
	PlaceDue
	// PlaceHeld: it is behind another message of its OrderKey.
	PlaceHeld
	// PlaceParked: no process here knows its route.
	PlaceParked
	// PlaceDead: it is a dead letter.
	PlaceDead
)

// WaitingMessage is a message as InspectQueue tells it.
type WaitingMessage struct {
	Key      Key
	Lane     string
	Route    string
	Received time.Time
	Size     int // of the payload, in bytes
	Place    Place
	Due      time.Duration // PlaceDue: how long until then; 0 if it is due
	Age      time.Duration // as in Claimed; 0 for a dead letter
	Attempts int           // recorded in all
	History  []Attempt
	Behind   Key // PlaceHeld, from Find: the message of its order key that is not held
	Ahead    int // from Find: how many of its lane come before it in the order of Waiting; -1 where that is not known
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
	Bound     Bound         // of each lane; nothing is stored beyond
	Messages  []Message     // at least one; each Dest once
}

// size is how many bytes of payloads it has.
func (b *Batch) size() (n int) {
	for i := range b.Messages {
		n += len(b.Messages[i].Payload)
	}
	return n
}

// Bound is how much may wait in one lane; 0 is no bound. A lane that is below
// takes one more batch, whatever its size.
type Bound struct {
	Messages int
	Bytes    int64 // of payloads
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
	Paused   bool          // by LanePause: nothing is handed out until LaneResume
	Failures int           // pauses by Hold since the lane was last seen well (see SettleKind)
	Refusals int           // dead letters in a row that were Refused, without a delivery between them
	Yield    bool          // another process should have the lane soon: release it when convenient
}

// Claimed is a message in hand.
type Claimed struct {
	Key      Key
	Route    string
	Received time.Time
	Attempts int           // recorded before this one
	Silent   int           // of those, the last so many in a row had Attempt.Silent
	Age      time.Duration // since it was pushed or replayed, less the time its lane was paused by an operator
	Lost     int           // claims of it in a row that ended neither by Settle nor by Release: with their process (a claim that had hardly begun may not be counted)
	Payload  []byte        // the caller's to keep, not to change
	Err      error         // ErrCorrupt, and no payload; else nil
}

// SettleKind says what becomes of a claimed message. A delivery, a retry without
// Hold and a refusal show that the lane is well: Claim.Failures is 0 again. A
// delivery also ends a row of refusals.
type SettleKind uint8

const (
	// SettleDelivered: it has arrived; forget it.
	SettleDelivered SettleKind = iota
	// SettleRetry: it waits again and is due After from now. With Hold it keeps
	// its place, and its lane pauses: it hands out nothing before, and Failures
	// is one more. (A pause is never shortened so. With Hold and an After of 0 it
	// only keeps its place: neither pause nor Failures change.) Without Hold the lane goes on.
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
	Refused bool          // SettleDead: by the destination; counted in Claim.Refusals
	Reason  string        // SettleDead: why, for people
	Answer  []byte        // SettleDead: how the destination's answer began; a store keeps 2 KiB of it
	Attempt Attempt       // what was tried, for SettleRetry and SettleDead; not recorded if At is zero
}

// LaneOrder is what Steer carries out.
type LaneOrder uint8

const (
	// LanePause: nothing is handed out until LaneResume, and the lane's
	// messages do not age. What is in hand may still be settled.
	LanePause LaneOrder = iota
	// LaneResume ends LanePause. A pause by Hold goes on.
	LaneResume
	// LaneRetryNow ends a pause by Hold. Failures stay.
	LaneRetryNow
	// LaneForgive sets Refusals to Forgiven, so that until the next
	// delivery no number of refusals counts, and ends a pause by Hold.
	LaneForgive
)

// Forgiven is so far below zero that no refusals add up to anything.
const Forgiven = -1 << 30

// Attempt is one try to deliver a message, as recorded with it.
// A store keeps the first few and the last few of a long series.
type Attempt struct {
	At     time.Time     // when it started
	Took   time.Duration // until its outcome was known
	Status int           // the destination's answer; 0 if there was none
	Error  string        // why there was none, without secrets
	Silent bool          // the request was sent whole, and then no answer came
}

// LaneInfo is a lane as Lanes lists it.
type LaneInfo struct {
	Name     string
	Waiting  int           // messages neither delivered nor dead, those in hand included
	Parked   int           // of those, set aside because no process here knows their route
	Bytes    int64         // payload bytes of the waiting
	Dead     int           // dead letters
	Failures int           // as in Claim
	Refusals int           // as in Claim
	Paused   bool          // by an operator
	Wait     time.Duration // left of a pause by Hold
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
	Answer   []byte // how the destination's last answer began; nil if there was none
}
