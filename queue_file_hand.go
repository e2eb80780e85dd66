package repeater

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// Claims live in memory. Which messages are in hand is noted in the file a moment
// later, with whatever is committed next, so that the next process can tell what this
// one died with. Only after a death, when one of these messages may be the cause, are
// the first claims noted before they are handed out.

// maxSuspects is how many messages of a lane are noted so, of those that
// were there when the last process died.
const maxSuspects = 256

// note tells the file what has just been claimed.
func (q *fileQueue) note(ctx context.Context, l *fileLane, entries []*fileEntry) error {
	if len(entries) == 0 {
		return nil
	}
	if !l.suspected(entries) {
		q.committer.ride(&fileHand{lane: l})
		return nil
	}
	if err := q.committer.do(ctx, &fileHand{lane: l}); err != nil && ctx.Err() != nil {
		l.takeBack(entries)
		return err
	}
	return nil // a store that cannot note hands out all the same
}

func (l *fileLane) suspected(entries []*fileEntry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.suspects
	for _, e := range entries {
		if l.suspects > 0 && e.card.seq <= l.suspect {
			l.suspects--
		}
	}
	return l.suspects < before
}

// takeBack undoes give, for messages that the caller has not heard of.
func (l *fileLane) takeBack(entries []*fileEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if l.claimed[e.card.key] == e {
			delete(l.claimed, e.card.key)
			l.giveBack(e)
		}
	}
}

// fileHand commits what is in hand of a lane.
type fileHand struct {
	wish
	lane *fileLane
}

func (h *fileHand) apply(t *fileTx) error {
	t.lane(h.lane).hand = true
	return nil
}

func (t *fileTx) putHand(l *fileLane) error {
	record := l.encodeHand()
	if record == nil {
		return t.delete(bucketHand, laneKey(l.id, 4))
	}
	return t.put(bucketHand, laneKey(l.id, 4), record)
}

// encodeHand returns how often each message will have been lost if the process dies
// now, or nil if none will.
func (l *fileLane) encodeHand() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.claimed)+len(l.lost) == 0 {
		return nil
	}
	lost := maps.Clone(l.lost)
	if lost == nil {
		lost = make(map[uint64]int, len(l.claimed))
	}
	for _, e := range l.claimed {
		lost[e.card.seq]++
	}
	b := make([]byte, 5, 5+4*len(lost)+10)
	b[0] = handVersion
	b = bin.AppendUint(b, uint64(len(lost)))
	before := uint64(0)
	for _, seq := range slices.Sorted(maps.Keys(lost)) {
		b = bin.AppendUint(b, seq-before)
		b = bin.AppendSize(b, lost[seq])
		before = seq
	}
	binary.LittleEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
	return b
}

// decodeHand returns nothing for a broken record: it only counts.
func decodeHand(b []byte) map[uint64]int {
	if len(b) < 5 || b[0] != handVersion || crc32.Checksum(b[5:], castagnoli) != binary.LittleEndian.Uint32(b[1:]) {
		return nil
	}
	lost := make(map[uint64]int)
	r := bin.NewReader(b[5:])
	seq := uint64(0)
	for range r.Uint() {
		seq += r.Uint()
		lost[seq] = r.Size()
	}
	return lost
}
