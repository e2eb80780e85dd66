package repeater

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// The buckets. A message has its payload under its key, written once, and one
// card, which a retry rewrites, in one of ready, due, held and dead.
var (
	bucketMeta    = []byte("meta")    // see keyVersion and following
	bucketLanes   = []byte("lanes")   // name -> laneRecord
	bucketPayload = []byte("payload") // key -> payload, lane, checksum; or lane, for a large one
	bucketLarge   = []byte("large")   // key -> bucket with "x" -> payload, lane, checksum
	bucketReady   = []byte("ready")   // lane, seq -> card
	bucketDue     = []byte("due")     // lane, moment, seq -> card
	bucketHeld    = []byte("held")    // lane, hash of order key, seq -> card, behind another of its order key
	bucketOrder   = []byte("order")   // lane, hash of order key -> "", while one of that key is ready, due or in hand
	bucketDead    = []byte("dead")    // lane, seq of death -> card
	bucketGrave   = []byte("grave")   // lane, key -> seq of death
	bucketHand    = []byte("hand")    // lane -> messages that are, or have been, in hand when a process died
	bucketMarks   = []byte("marks")   // hash of dedupe mark -> moment of expiry, id
	bucketExpiry  = []byte("expiry")  // moment of expiry, hash of dedupe mark -> ""
	bucketBroken  = []byte("broken")  // lane, seq -> card that could not be read
	allBuckets    = [][]byte{bucketMeta, bucketLanes, bucketPayload, bucketLarge, bucketReady, bucketDue, bucketHeld, bucketOrder,
		bucketDead, bucketGrave, bucketHand, bucketMarks, bucketExpiry, bucketBroken}
)

// Of cards and lanes no two versions are the same, so that a repair can tell them apart.
const (
	fileVersion = 1
	cardVersion = 1
	laneVersion = 2
	handVersion = 1
)

var (
	keyX       = []byte("x")
	keyVersion = []byte("version")
	keyRunning = []byte("running") // whoever has the store open, or died while having it
	keyCommit  = []byte("commit")  // a commitRecord
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// checksum is over what is stored and the key that it is stored under.
func checksum(value, key []byte) uint32 {
	return crc32.Update(crc32.Checksum(value, castagnoli), castagnoli, key)
}

// checkBuckets finds a bucket whose name is damaged. (One that is missing is of a later version.)
func checkBuckets(tx *bbolt.Tx) error {
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if slices.ContainsFunc(allBuckets, func(known []byte) bool { return bytes.Equal(known, name) }) || isChunk(name) {
			return nil
		}
		return damageError(fmt.Sprintf("there is no bucket %q", name))
	})
}

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyVersion, []byte{fileVersion})
}

// checkVersion finds a file that is not ours to read; fresh is one without anything in it.
func checkVersion(tx *bbolt.Tx) (fresh bool, err error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return false, errors.New("not a store of this program")
		}
		return true, nil
	}
	if v := meta.Get(keyVersion); len(v) != 1 || v[0] != fileVersion {
		return false, fmt.Errorf("written by another version of this program (format %x, this one reads %d)", v, fileVersion)
	}
	return false, nil
}

// commitRecord changes with each transaction. The number tells, after a commit of
// unknown outcome, whether it is in the file.
type commitRecord struct {
	number uint64
	clock  clockReading
}

func (r commitRecord) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 28), r.number)
	b = appendFixed(b, r.clock.wall)
	b = appendFixed(b, r.clock.shown)
	return binary.LittleEndian.AppendUint32(b, checksum(b, keyCommit))
}

func readCommit(tx *bbolt.Tx) commitRecord {
	v := tx.Bucket(bucketMeta).Get(keyCommit)
	if len(v) != 28 || binary.LittleEndian.Uint32(v[24:]) != checksum(v[:24], keyCommit) {
		return commitRecord{} // none yet, or damaged: the wall clock serves
	}
	return commitRecord{binary.BigEndian.Uint64(v),
		clockReading{readFixed[int64](v[8:]), readFixed[moment](v[16:])}}
}

// position is where a card lies within its lane.
type position struct {
	bucket place
	seq    uint64
	due    moment // in bucket due only
}

type place uint8

const (
	inReady place = iota
	inDue
)

func (p position) name() []byte {
	if p.bucket == inDue {
		return bucketDue
	}
	return bucketReady
}

func (p position) key(lane uint32) []byte {
	k := laneKey(lane, 20)
	if p.bucket == inDue {
		k = appendFixed(k, p.due)
	}
	return binary.BigEndian.AppendUint64(k, p.seq)
}

func laneKey(lane uint32, size int) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, size), lane)
}

func seqKey(lane uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(laneKey(lane, 12), seq)
}

func payloadKey(k Key) []byte {
	b := append(make([]byte, 0, len(k.ID)+2), k.ID...)
	return binary.BigEndian.AppendUint16(b, uint16(k.Dest)) // #nosec G115 -- no route has so many destinations
}

func graveKey(lane uint32, k Key) []byte {
	return append(laneKey(lane, 4+len(k.ID)+2), payloadKey(k)...)
}

type laneCounts struct {
	waiting, dead int
	bytes         int64
}

func (c laneCounts) plus(d laneCounts) laneCounts {
	return laneCounts{c.waiting + d.waiting, c.dead + d.dead, c.bytes + d.bytes}
}

func (c laneCounts) minus(d laneCounts) laneCounts {
	return laneCounts{c.waiting - d.waiting, c.dead - d.dead, c.bytes - d.bytes}
}

// laneRecord is what is stored of a lane.
type laneRecord struct {
	laneCounts
	laneState
	id  uint32
	seq uint64 // of the last message, or death
}

// encode returns what is stored under a lane's name.
func (r *laneRecord) encode(name []byte) []byte {
	b := make([]byte, 5, 96)
	b[0] = laneVersion
	b = bin.AppendUint(b, uint64(r.id))
	b = bin.AppendUint(b, r.seq)
	b = bin.AppendInt(b, int64(r.waiting))
	b = bin.AppendInt(b, int64(r.dead))
	b = bin.AppendInt(b, r.bytes)
	b = bin.AppendInt(b, int64(r.failures))
	b = bin.AppendInt(b, int64(r.refusals))
	b = bin.AppendInt(b, int64(r.pauseTo))
	b = bin.AppendInt(b, int64(r.stopped))
	b = bin.AppendInt(b, int64(r.idle))
	binary.LittleEndian.PutUint32(b[1:], checksum(b[5:], name))
	return b
}

func decodeLane(name, b []byte) (laneRecord, error) {
	if len(b) < 5 || b[0] != laneVersion || checksum(b[5:], name) != binary.LittleEndian.Uint32(b[1:]) {
		return laneRecord{}, damageError("its record is not what was written")
	}
	r := bin.NewReader(b[5:])
	rec := laneRecord{id: uint32(r.Uint()), seq: r.Uint()} // #nosec G115 -- a uint32 was written
	rec.waiting, rec.dead, rec.bytes = int(r.Int()), int(r.Int()), r.Int()
	rec.failures, rec.refusals = int(r.Int()), int(r.Int())
	rec.pauseTo, rec.stopped, rec.idle = moment(r.Int()), moment(r.Int()), time.Duration(r.Int())
	return rec, r.Err()
}
