package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// page is one page with those that it overflows into, or the page inside an inline bucket.
type page struct {
	f        *file
	id       uint64
	flags    uint16
	count    uint16
	overflow uint64

	b    []byte // how it begins
	at   int64  // in the file
	size int64
}

func (p *page) decode(b []byte) {
	p.flags, p.count = binary.NativeEndian.Uint16(b[8:]), binary.NativeEndian.Uint16(b[10:])
	p.overflow = uint64(binary.NativeEndian.Uint32(b[12:]))
}

func (p *page) damage(format string, args ...any) *Damage {
	return &Damage{p.id, fmt.Sprintf(format, args...)}
}

// bytes returns a part of the page.
func (p *page) bytes(off, n int64) ([]byte, error) {
	switch {
	case n < 0 || off < headerSize || off+n > p.size:
		return nil, p.damage("points outside of itself")
	case off+n <= int64(len(p.b)):
		return p.b[off : off+n : off+n], nil
	}
	b := make([]byte, n)
	if _, err := p.f.r.ReadAt(b, p.at+off); err != nil {
		return nil, p.damage("cannot be read: %v", err)
	}
	return b, nil
}

// freeList returns the numbers of free pages on a page that lists them.
func (p *page) freeList() ([]byte, error) {
	n, from := int64(p.count), int64(headerSize)
	if p.count == 0xFFFF {
		b, err := p.bytes(from, 8)
		if err != nil {
			return nil, err
		}
		n, from = int64(min(binary.NativeEndian.Uint64(b), 1<<40)), from+8 // #nosec G115 -- bounded
	}
	return p.bytes(from, n*8)
}

// whole returns an error unless all entries can be read and are in order.
func (p *page) whole() error {
	return p.entries(nil, nil, func(int, element) error { return nil })
}

// recount finds a wrong count, as bbolt writes what the entries point to right behind the last of them.
// Where it is too small, entries would be lost without a word.
func (p *page) recount() *Damage {
	at := int64(headerSize + 4) // of a leaf's first entry
	if p.flags == isBranch {
		at = headerSize
	}
	b, err := p.bytes(at, 4)
	if err != nil {
		b = make([]byte, 4)
	}
	n := binary.NativeEndian.Uint32(b) / elemSize
	if n == uint32(p.count) {
		return nil
	}
	d := p.damage("has %d entries, and room for %d", p.count, n)
	if n > uint32(p.count) && int64(n) < p.size/elemSize && n < 1<<16 {
		p.count = uint16(n) // #nosec G115 -- below 2^16
	}
	return d
}

// element is one entry of a branch or leaf.
type element struct {
	key   []byte
	child uint64 // of a branch
	flags uint32 // of a leaf
	start int64  // where the key is
	value int64  // where the value is
	size  int64
}

func (p *page) element(i int) (e element, err error) {
	at := int64(headerSize + i*elemSize)
	b, err := p.bytes(at, elemSize)
	if err != nil {
		return e, err
	}
	n := binary.NativeEndian
	var pos, ksize int64
	if p.flags == isBranch {
		pos, ksize, e.child = int64(n.Uint32(b)), int64(n.Uint32(b[4:])), n.Uint64(b[8:])
	} else {
		e.flags = n.Uint32(b)
		pos, ksize, e.size = int64(n.Uint32(b[4:])), int64(n.Uint32(b[8:])), int64(n.Uint32(b[12:]))
	}
	if ksize > maxKey || at+pos < headerSize+int64(p.count)*elemSize {
		return e, p.damage("its entry %d is damaged", i)
	}
	if e.key, err = p.bytes(at+pos, ksize); err != nil {
		return e, err
	}
	e.start, e.value = at+pos, at+pos+ksize
	if p.flags == isLeaf && (e.flags > isBucket || e.value+e.size > p.size) {
		return e, p.damage("its entry %d is damaged", i)
	}
	return e, nil
}

// tree reads a page and what is below it. All keys must be at least min, and less than max unless that is nil.
func (f *file) tree(id uint64, min, max []byte, depth int) error {
	p, err := f.take(id, depth)
	if p == nil || err != nil {
		f.hole = true
		return err
	}
	switch {
	case p.flags == isLeaf:
		return p.leaf(min, max, depth)
	case p.flags == isBranch && p.count > 0:
		return p.branch(min, max, depth)
	}
	f.hole = true
	return f.found(p.damage("is neither branch nor leaf"))
}

// entries calls each for the entries that can be read, in their order.
func (p *page) entries(min, max []byte, each func(i int, e element) error) error {
	if d := p.recount(); d != nil {
		p.f.hole = true
		if err := p.f.found(d); err != nil {
			return err
		}
	}
	end := headerSize + int64(p.count)*elemSize
	for i := range int(p.count) {
		e, err := p.element(i)
		if err == nil && e.start != end {
			p.f.hole = true
			err = p.f.found(p.damage("its entry %d does not follow the one before", i))
			if err != nil {
				return err
			}
		}
		end = e.value + e.size
		if d, ok := err.(*Damage); ok {
			p.f.hole = true
			if err = p.f.found(d); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if c := bytes.Compare(e.key, min); c < 0 || c == 0 && i > 0 || max != nil && bytes.Compare(e.key, max) >= 0 {
			p.f.hole = true
			if err := p.f.found(p.damage("its entry %d is out of order", i)); err != nil {
				return err
			}
		} else {
			min = e.key
		}
		if err := each(i, e); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) branch(min, max []byte, depth int) error {
	return p.entries(min, max, func(i int, e element) error {
		end := max
		if i+1 < int(p.count) {
			if next, err := p.element(i + 1); err == nil {
				end = next.key
			}
		}
		return p.f.tree(e.child, e.key, end, depth+1)
	})
}

func (p *page) leaf(min, max []byte, depth int) error {
	return p.entries(min, max, func(_ int, e element) error {
		if e.flags == isBucket {
			return p.bucket(e, depth)
		}
		if p.f.visit == nil {
			return nil
		}
		v, err := p.bytes(e.value, e.size)
		if d, ok := err.(*Damage); ok {
			return p.f.found(d)
		}
		if err != nil {
			return err
		}
		return p.f.visit(p.f.path, e.key, v)
	})
}

// bucket reads the bucket in an entry: its tree, or the page inside it.
func (p *page) bucket(e element, depth int) error {
	v, err := p.bytes(e.value, e.size)
	if err != nil || len(v) < bucketSize {
		return p.f.found(p.damage("a bucket in it is damaged"))
	}
	p.f.path = append(p.f.path, string(e.key))
	defer func() { p.f.path = p.f.path[:len(p.f.path)-1] }()
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return p.f.tree(root, nil, nil, depth+1)
	}
	if v = v[bucketSize:]; len(v) < headerSize {
		return p.f.found(p.damage("a bucket in it is damaged"))
	}
	in := &page{f: p.f, id: p.id, b: v, size: int64(len(v))}
	if in.decode(v); in.flags != isLeaf || in.overflow != 0 {
		return p.f.found(p.damage("a bucket in it is damaged"))
	}
	return in.entries(nil, nil, func(_ int, e element) error {
		if e.flags == isBucket {
			return p.f.found(p.damage("a bucket in it is damaged"))
		}
		if p.f.visit == nil {
			return nil
		}
		v, err := in.bytes(e.value, e.size)
		if err != nil {
			return p.f.found(p.damage("%v", err))
		}
		return p.f.visit(p.f.path, e.key, v)
	})
}
