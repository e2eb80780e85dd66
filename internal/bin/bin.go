// Package bin appends and reads the small length-prefixed fields that stored
// records are made of.
package bin

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is what a Reader that has run off its fields reports.
var ErrMalformed = errors.New("malformed record")

// AppendUint appends v as a varint.
func AppendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// AppendInt appends v as a signed varint.
func AppendInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

// AppendSize appends a number that is never negative.
func AppendSize[T ~int | ~int64](b []byte, n T) []byte {
	return AppendUint(b, uint64(n)) // #nosec G115 -- never negative
}

// AppendString appends s behind its length.
func AppendString[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Reader reads fields in the order in which they were appended. After the
// first malformed one every read returns zero; look at Err once, at the end.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader reads from b, which it neither copies nor changes.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Uint reads what AppendUint wrote.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	return v & r.advance(n)
}

// Int reads what AppendInt wrote.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	return v & int64(r.advance(n)) // #nosec G115 -- a mask
}

// Size reads what AppendSize wrote.
func (r *Reader) Size() int {
	return int(r.Uint()) // #nosec G115 -- an int was written
}

// Bytes reads what AppendString wrote; the result is part of the Reader's bytes.
func (r *Reader) Bytes() []byte {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// String reads what AppendString wrote.
func (r *Reader) String() string { return string(r.Bytes()) }

// Count reads a number of fields to come, each of at least one byte, so that a
// lying count cannot make the caller allocate much.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n) // #nosec G115 -- at most the length of a slice
}

// Rest returns all that is left.
func (r *Reader) Rest() []byte {
	v := r.b
	r.b = nil
	return v
}

// Err returns ErrMalformed if any read has failed.
func (r *Reader) Err() error {
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// advance skips n bytes and returns a mask: all ones, or zero when there was no number.
func (r *Reader) advance(n int) uint64 {
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return ^uint64(0)
}

func (r *Reader) fail() { r.b, r.bad = nil, true }
