package repeater

import (
	"sync"
	"sync/atomic"
)

// doorBudget is memory for bodies that are being accepted. Nobody waits for it: a
// sender that is turned away comes again.
type doorBudget struct {
	size atomic.Int64
	used atomic.Int64
}

// take reports whether there was room for n bytes more, which are to be given back.
func (b *doorBudget) take(n int64) bool {
	if b.used.Add(n) <= b.size.Load() {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *doorBudget) give(n int64) { b.used.Add(-n) }

// laneBudget is memory for messages in hand. A claim reserves what it may bring, and gives
// back what it did not. Lanes that find too little wait in line; as long as
// one does, no lane takes more than one message into its hand.
type laneBudget struct {
	mu      sync.Mutex
	size    int64
	free    int64 // below zero while more is in hand than a smaller size allows
	line    []*lane
	pressed atomic.Bool // there is a line
}

// take reserves n bytes for l, or puts l in line, to be woken when it may be worth
// asking again.
func (b *laneBudget) take(l *lane, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free >= n && (len(b.line) == 0 || b.line[0] == l) {
		b.free -= n
		b.leave(l)
		return true
	}
	for _, other := range b.line {
		if other == l {
			return false
		}
	}
	b.line = append(b.line, l)
	b.pressed.Store(true)
	return false
}

// give returns bytes, and wakes who waits.
func (b *laneBudget) give(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	if len(b.line) > 0 {
		signal(b.line[0].memory)
	}
}

// resize changes how much there is in all. It asks for the size when nobody else can resize.
func (b *laneBudget) resize(to func() int64) {
	b.mu.Lock()
	size := to()
	grown := size - b.size
	b.size = size
	b.mu.Unlock()
	b.give(grown)
}

// quit takes l out of the line.
func (b *laneBudget) quit(l *lane) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leave(l)
}

func (b *laneBudget) leave(l *lane) {
	for i, other := range b.line {
		if other == l {
			b.line = append(b.line[:i], b.line[i+1:]...)
			break
		}
	}
	b.pressed.Store(len(b.line) > 0)
	if len(b.line) > 0 {
		signal(b.line[0].memory)
	}
}

// need is how many bytes to reserve for a claim of n messages. A lane that does not know its
// messages yet has to expect the largest; what it has met lets it expect less. A claim always
// brings one message, so that a sudden large one may be taken beyond what was reserved.
func (l *lane) need(n int) int64 {
	most := l.cfg.maxMessage()
	if l.largest > 0 && l.largest <= claimBytes {
		most = min(max(leastNeed, 2*int64(n)*l.largest), claimBytes)
	}
	if q, ok := l.w.r.queue.(SizedQueue); ok {
		_, waiting, _ := q.Size(l.name)
		most = min(most, max(leastNeed, waiting))
	}
	return most
}

const leastNeed = 64 << 10

// sized remembers how large messages are.
func (l *lane) sized(messages []Claimed) {
	for i := range messages {
		l.largest = max(l.largest, int64(len(messages[i].Payload)), 1)
	}
}

// allAttempts is how much of a worker's turns an attempt takes that is to be the only one.
const allAttempts = 1 << 30
