package repeater

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Errors of a Queue that its caller acts upon. Test for them with errors.Is.
var (
	// ErrBusy is returned by Claim while another holder has claimed the lane.
	ErrBusy = errors.New("lane is claimed by another")
	// ErrStale is returned for a token that no longer holds its lane. The call has changed nothing.
	ErrStale = errors.New("claim is stale")
	// ErrCorrupt marks a message whose stored bytes are not those that were pushed, or a file store
	// that is damaged and no longer used (see [RepairFile]).
	ErrCorrupt = errors.New("stored message is corrupt")
	// ErrNotFound is returned if a single message is named that is not stored.
	ErrNotFound = errors.New("no such message")
	// ErrClosed is returned by a store, or a Repeater, after Close.
	ErrClosed = errors.New("closed")
	// ErrLocked means that another process has the store's file open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrFull is returned by Push when a lane has reached its bound, or the store has no room.
	// Nothing was stored.
	ErrFull = errors.New("store is full")
)

// Queue is a store of messages, in lanes. The Repeater knows HTTP and retry policy; a Queue knows
// order, claims and durability, and neither depends on the other's knowledge. Bring your own with
// [WithQueue].
//
// The tests in internal/queuetest state in code what this comment says in words. They cannot be
// imported from outside of this module: to test a store of your own, copy them. Before version 1,
// this interface and [SizedQueue], [SharedQueue] and [InspectQueue] may gain methods.
//
// A message is waiting, claimed, delivered or dead, nothing else. Delivered messages are gone; dead
// ones are kept until dropped or replayed. Every method is one atomic step: it has happened wholly
// or not at all, also when the process dies in the middle of it. An error means "not as far as I
// know": after a lost connection a Push may be stored all the same.
//
// Order: each lane hands out its messages in the order in which they were pushed, except those that
// were settled with SettleRetry and without Hold, which come first once they are due. Of the
// messages of a lane that share an OrderKey, one at a time is available, the oldest: the next one
// is handed out only once that is delivered or dead. A Claim must not get slower with the number of
// messages that are held back by this.
//
// Time: a store never takes a time from its caller; it gets durations and counts them on a clock of
// its own, which for a store of several processes is the store's, not the process's.
//
// Methods may be called concurrently, and end early with ctx's error when ctx ends. A ctx that has
// ended before the call changes nothing.
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

	// Claim takes a lane, keeps it, and hands out messages to attempt, oldest first. A lane has one
	// holder at a time: while a claim lives, others get ErrBusy. With an empty Token Claim takes a
	// free lane, or one not known yet, and returns a fresh token; with a token it renews that
	// claim, or returns ErrStale if another has taken the lane since.
	//
	// Messages handed out belong to the token until settled or released. If the claim is taken over
	// after its TTL, or the process ends, they wait again in their old places, and the next holder
	// gets them first.
	//
	// A lane that is paused, by Hold or by LanePause, can be claimed but hands out nothing.
	//
	// A record that fails its checksum is handed out with Err set to ErrCorrupt and no payload, so
	// that it can be settled as dead.
	Claim(ctx context.Context, c ClaimRequest) (Claim, error)

	// Settle ends the claims on messages, all of one lane, in one step. A stale token changes
	// nothing and returns ErrStale. A message that is not claimed under this token is skipped. When
	// Settle returns, the store's other methods see the outcome; that a message was delivered may
	// become durable a moment later (a crash then repeats it, never loses it).
	Settle(ctx context.Context, lane, token string, s []Settlement) error

	// Release gives the lane back, and with it what the token still has
	// claimed, as if it had never been handed out. A stale token is no error.
	Release(ctx context.Context, lane, token string) error

	// Steer carries out an operator's order for a lane, whoever holds it. It is as durable as a
	// Push, and repeating it changes nothing more. A lane that is not known yet can be steered,
	// too.
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

	// Payload returns what was pushed for a message that is stored in lane, waiting or dead, or
	// ErrNotFound, or ErrCorrupt.
	Payload(ctx context.Context, lane string, key Key) ([]byte, error)

	// Replay puts dead letters at the end of their lane, in the order given, as if just pushed:
	// without attempts, history or age, but with their keys. It skips keys that are not dead
	// letters of this lane, and returns how many it has put back.
	Replay(ctx context.Context, lane string, keys []Key) (int, error)

	// Drop deletes dead letters for good. It skips keys that are not dead letters of this lane, and
	// returns how many it has deleted.
	Drop(ctx context.Context, lane string, keys []Key) (int, error)

	// Prune deletes, oldest first, at most max dead letters of a lane that died
	// longer ago than older, and returns how many it has deleted.
	Prune(ctx context.Context, lane string, older time.Duration, max int) (int, error)
}

// SizedQueue is implemented by a Queue that knows, in memory and at once, how much waits in a lane.
// The numbers may be a little old. They let a full lane be refused before a body is read; without
// them, only Push finds out.
type SizedQueue interface {
	Queue
	// Size returns the lane's waiting messages and their payload bytes. free is how much more the
	// store as a whole has room for, negative if it cannot know.
	Size(lane string) (messages int, bytes, free int64)
}

// SharedQueue is implemented by a Queue that several processes use, perhaps with different routes
// during a rolling deployment.
type SharedQueue interface {
	Queue

	// Announce states which routes this process knows, and is repeated every few seconds. From the
	// first call on, Claim hands out only messages of these routes; it sets others of the lane
	// aside for processes that know them.
	Announce(ctx context.Context, routes []string) error

	// ExpireUnknown makes dead letters of messages whose route no process
	// has announced for the given time, and returns how many.
	ExpireUnknown(ctx context.Context, unknown time.Duration) (int, error)

	// Watch calls wake with the name of each lane that may have become
	// workable, also through other processes, until ctx ends or the connection
	// is lost. Wakes may be lost or be too many: a hint, not a promise.
	Watch(ctx context.Context, wake func(lane string)) error
}

// InspectQueue is implemented by a Queue that lets an operator look into its lanes:
// [Repeater.Admin] needs it to show more than counts, and [WithMetrics] for the age of the oldest
// message. It is never used to accept or deliver messages, so that it may be slow, but no single
// step of it may delay other calls: one that has to look at many messages does so in several steps.
type InspectQueue interface {
	Queue

	// Waiting lists what waits in a lane: first what is in hand, then what is due, the ready, what
	// is due later, what is held back, and what is parked, each oldest or soonest first. It returns
	// at most max from the cursor on ("" for the first page); next is "" on the last page. A
	// message that moves between two pages may appear twice, or not at all.
	Waiting(ctx context.Context, lane, cursor string, max int) (messages []WaitingMessage, next string, err error)

	// Find returns the stored messages of one id whose Dest is less than dests, in all lanes,
	// waiting or dead, by Dest. Finding none is no error.
	Find(ctx context.Context, id string, dests int) ([]WaitingMessage, error)

	// Oldest returns the age of the oldest message that waits in each of the lanes, 0 if none does.
	// Of those at PlaceDue it may look at the first 1,000 only.
	Oldest(ctx context.Context, lanes []string) ([]time.Duration, error)
}

// Place says where in its lane a message is.
type Place uint8

const (
	// PlaceReady: it is handed out in its turn.
	PlaceReady Place = iota
	// PlaceInHand: it is claimed.
	PlaceInHand
	// PlaceDue: it was settled with SettleRetry and without Hold, and is handed out once it is due.
	PlaceDue
	// PlaceHeld: it is behind another message of its OrderKey.
	PlaceHeld
	// PlaceParked: no process here knows its route.
	PlaceParked
	// PlaceDead: it is a dead letter.
	PlaceDead
)

// WaitingMessage is a message as returned by InspectQueue.
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
	// Ahead, from Find, is how many of its lane come before it in the order of Waiting; -1 if that
	// is not known.
	Ahead int
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

// ClaimRequest is the argument of Claim.
type ClaimRequest struct {
	Lane     string
	Token    string        // of the claim to continue; "" to take a free lane
	Max      int           // hand out at most so many messages; 0 only takes or renews
	MaxBytes int64         // and payloads of about so many bytes, but always one; 0 for no bound
	TTL      time.Duration // from now on; then others may take the lane
}

// Claim is a lane that the caller holds.
type Claim struct {
	Token    string
	Messages []Claimed     // oldest first
	More     bool          // there would have been more, but for Max or MaxBytes
	Wait     time.Duration // without More: until something may be due; 0 if nothing is known to wait
	Paused   bool          // by LanePause: nothing is handed out until LaneResume
	Failures int           // pauses by Hold since the lane was last seen well (see SettleKind)
	Refusals int           // Refused dead letters in a row since the last delivery, counted from Forgiven after LaneForgive
	Yield    bool          // another process should have the lane soon: release it when convenient
}

// Claimed is a message that the caller holds.
type Claimed struct {
	Key      Key
	Route    string
	Received time.Time
	Attempts int           // recorded before this one
	Silent   int           // of those, the last so many in a row had Attempt.Silent
	Age      time.Duration // since it was pushed or replayed, less the time its lane was paused by an operator
	// Lost is how many claims of it in a row ended neither by Settle nor by Release, but with
	// their process. A claim that had hardly begun may not be counted.
	Lost    int
	Payload []byte // the caller's to keep, not to change
	Err     error  // ErrCorrupt, and no payload; else nil
}

// SettleKind says what becomes of a claimed message. A delivery, a retry without Hold and a refusal
// show that the lane is well: they set Claim.Failures to 0. A delivery also ends a series of
// refusals.
type SettleKind uint8

const (
	// SettleDelivered: it has arrived; forget it.
	SettleDelivered SettleKind = iota
	// SettleRetry: it waits again and is due After from now. With Hold it keeps its place, and its
	// lane pauses: it hands out nothing until then, and Failures is incremented. (This never
	// shortens a pause. With Hold and an After of 0 the message only keeps its place: neither
	// pause nor Failures change.) Without Hold the lane goes on.
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

// LaneOrder is an order of an operator, for Steer.
type LaneOrder uint8

const (
	// LanePause: nothing is handed out until LaneResume, and the lane's messages do not age. What
	// is in hand may still be settled.
	LanePause LaneOrder = iota
	// LaneResume ends LanePause. A pause by Hold goes on.
	LaneResume
	// LaneRetryNow ends a pause by Hold. Failures stay.
	LaneRetryNow
	// LaneForgive sets Refusals to Forgiven, so that no number of refusals pauses the lane before
	// the next delivery, and ends a pause by Hold.
	LaneForgive
)

// Forgiven is what LaneForgive sets Refusals to: a number so negative that counting up from it
// never reaches the limit at which refusals pause a lane. The next delivery sets Refusals to 0.
const Forgiven = -1 << 30

// Attempt is one try to deliver a message, as recorded with it. A store keeps the first few and the
// last few of a long series.
type Attempt struct {
	At     time.Time     // when it started
	Took   time.Duration // until its outcome was known
	Status int           // the destination's answer; 0 if there was none
	Error  string        // why there was none, without secrets
	Silent bool          // the request was sent whole, and then no answer came
}

// LaneInfo is the state of a lane, as returned by Lanes.
type LaneInfo struct {
	Name     string
	Waiting  int           // messages neither delivered nor dead, those in hand included
	Parked   int           // of those, set aside because no process here knows their route
	Bytes    int64         // payload bytes of the waiting
	Dead     int           // dead letters
	Failures int           // as in Claim
	Refusals int           // as in Claim; about Forgiven, far below zero, after LaneForgive
	Paused   bool          // by an operator
	Wait     time.Duration // left of a pause by Hold
	Held     bool          // it is claimed
}

// DeadLetter is a message that is no longer tried.
type DeadLetter struct {
	Key      Key
	Route    string
	Received time.Time
	Died     time.Time // by the clock of Redis, or of the file store's machine
	Size     int       // of the payload, in bytes
	Attempts int       // recorded in all
	History  []Attempt
	Reason   string
	Answer   []byte // how the destination's last answer began, which may contain secrets; nil if there was none
}
