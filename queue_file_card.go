package repeater

import (
	"encoding/binary"
	"time"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// card is all of a message but its payload.
type card struct {
	key      Key
	seq      uint64 // its place in the lane, also while it is due
	route    string
	orderKey string
	received time.Time
	size     int
	since    moment // of its lane's own time: push or replay; once dead, of the store's: death
	attempts int
	silent   int // of those, the last so many
	history  []Attempt
	died     time.Time
	reason   string
	answer   []byte
}

// Of a long series the first and the last attempts tell the story.
const (
	historyFirst = 3
	historyLast  = 16
)

// record adds an attempt. It makes a new slice, as cards are copied by value.
func (c *card) record(a Attempt) {
	if a.At.IsZero() {
		return
	}
	c.attempts++
	c.silent++
	if !a.Silent {
		c.silent = 0
	}
	h := append(make([]Attempt, 0, len(c.history)+1), c.history...)
	if len(h) == historyFirst+historyLast {
		h = append(h[:historyFirst], h[historyFirst+1:]...)
	}
	c.history = append(h, a)
}

// encode returns what is stored under a key.
func (c *card) encode(key []byte) []byte {
	b := make([]byte, 5, 96+len(c.key.ID)+len(c.route)+len(c.orderKey)+len(c.reason)+len(c.answer))
	b[0] = cardVersion
	b = bin.AppendString(b, c.key.ID)
	b = bin.AppendSize(b, c.key.Dest)
	b = bin.AppendUint(b, c.seq)
	b = bin.AppendString(b, c.route)
	b = bin.AppendString(b, c.orderKey)
	b = appendTime(b, c.received)
	b = bin.AppendSize(b, c.size)
	b = bin.AppendInt(b, int64(c.since))
	b = bin.AppendSize(b, c.attempts)
	b = bin.AppendSize(b, c.silent)
	b = appendTime(b, c.died)
	b = bin.AppendString(b, c.reason)
	b = bin.AppendString(b, c.answer)
	b = bin.AppendSize(b, len(c.history))
	for _, a := range c.history {
		b = appendTime(b, a.At)
		b = bin.AppendInt(b, int64(a.Took))
		b = bin.AppendSize(b, a.Status)
		b = bin.AppendString(b, a.Error)
		b = bin.AppendUint(b, flag(a.Silent))
	}
	binary.LittleEndian.PutUint32(b[1:], checksum(b[5:], key))
	return b
}

func decodeCard(key, b []byte) (card, error) {
	if len(b) < 5 || b[0] != cardVersion || checksum(b[5:], key) != binary.LittleEndian.Uint32(b[1:]) {
		return card{}, ErrCorrupt
	}
	r := bin.NewReader(b[5:])
	c := card{
		key:      Key{ID: r.String(), Dest: r.Size()},
		seq:      r.Uint(),
		route:    r.String(),
		orderKey: r.String(),
		received: readTime(r),
		size:     r.Size(),
		since:    moment(r.Int()),
		attempts: r.Size(),
		silent:   r.Size(),
		died:     readTime(r),
		reason:   r.String(),
		answer:   append([]byte(nil), r.Bytes()...),
	}
	for range r.Count() {
		c.history = append(c.history, Attempt{
			At: readTime(r), Took: time.Duration(r.Int()), Status: r.Size(), Error: r.String(), Silent: r.Uint() != 0,
		})
	}
	return c, r.Err()
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return bin.AppendInt(b, 0)
	}
	return bin.AppendInt(b, t.UnixNano())
}

func readTime(r *bin.Reader) time.Time {
	ns := r.Int()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
