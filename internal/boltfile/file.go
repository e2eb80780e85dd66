// Package boltfile reads the pages of a bbolt file (format 2) with distrust. bbolt maps the file
// and believes it: a damaged page makes it panic, read what lies elsewhere in memory, or go in
// circles until there is no memory left, in part on goroutines where nobody can recover.
// [Check] finds such pages before bbolt does; [Salvage] reads what is left around them.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// Damage is what is wrong, and where.
type Damage struct {
	Page uint64
	What string
}

func (d *Damage) Error() string { return fmt.Sprintf("page %d: %s", d.Page, d.What) }

const (
	magic      = 0xED0CDAED
	version    = 2
	headerSize = 16 // id, flags, count, overflow
	elemSize   = 16
	bucketSize = 16 // root page, sequence
	maxKey     = 32768
	maxDepth   = 64 // no tree of bbolt is so deep
	noFreelist = ^uint64(0)

	isBranch   = 0x01
	isLeaf     = 0x02
	isFreelist = 0x10
	isBucket   = 0x01 // of a leaf's element
)

// file is a file being read.
type file struct {
	r        io.ReaderAt
	size     int64
	pageSize int64
	meta
	seen []uint64 // a bit a page
	bufs [][]byte // one a level

	// found is told of damage; an error ends the reading, nil goes on behind it.
	found func(*Damage) error
	// visit is called for each key and value, unless it is nil.
	visit func(path []string, key, value []byte) error
	path  []string
	hole  bool // whole subtrees may be lost
}

// meta is what a meta page says.
type meta struct {
	root, freelist, pages, tx uint64
}

// Check returns the first damage that could lead bbolt astray, as an error that is a *Damage,
// or an error of r. Values are not looked into.
func Check(r io.ReaderAt, size int64) error {
	f := &file{r: r, size: size, found: func(d *Damage) error { return d }}
	if err := f.open(); err != nil {
		return err
	}
	if err := f.tree(f.root, nil, nil, 0); err != nil {
		return err
	}
	return f.checkFreelist()
}

// Unlisted says whether there is no list of free pages, so that bbolt has to look at all pages to find them.
func Unlisted(r io.ReaderAt, size int64) (bool, error) {
	f := &file{r: r, size: size, found: func(d *Damage) error { return d }}
	err := f.open()
	return f.freelist == noFreelist, err
}

// Salvage calls visit for each key and value that can be found, with the names of the buckets
// around them, and lost for each damage that it has to step over. What is handed out may be damaged itself. An
// error of visit ends it.
func Salvage(r io.ReaderAt, size int64, visit func(path []string, key, value []byte) error, lost func(*Damage)) error {
	f := &file{r: r, size: size, visit: visit, found: func(d *Damage) error {
		lost(d)
		return nil
	}}
	if err := f.open(); err != nil {
		d, ok := err.(*Damage)
		if !ok {
			return err
		}
		lost(d)
		f.pageSize = int64(os.Getpagesize())
		f.pages, f.freelist, f.hole = uint64(size/f.pageSize), noFreelist, true // #nosec G115 -- never negative
		f.seen = make([]uint64, f.pages/64+1)
	} else if err := f.tree(f.root, nil, nil, 0); err != nil {
		return err
	}
	if !f.hole {
		return nil
	}
	return f.orphans()
}

// orphans reads the leaves that hang on no tree any more, and are not known to be free.
func (f *file) orphans() error {
	strict := f.found
	f.found = func(d *Damage) error { return d } // such a page is whole, or was never one of ours
	err := f.checkFreelist()
	if err == nil && f.freelist != noFreelist {
		f.free()
	}
	f.path = []string{Orphan}
	for id := uint64(2); id < f.pages; id++ {
		if id/64 >= uint64(len(f.seen)) || f.seen[id/64]&(1<<(id%64)) != 0 {
			continue
		}
		p, err := f.take(id, 0)
		if err != nil || p.flags != isLeaf || p.count == 0 || p.whole() != nil {
			f.seen[id/64] &^= 1 << (id % 64)
			continue
		}
		f.found = strict
		if err := p.leaf(nil, nil, 0); err != nil {
			return err
		}
		f.found = func(d *Damage) error { return d }
	}
	return nil
}

// Orphan is the path of what is found on a leaf whose tree is lost. It may be stale.
const Orphan = ""

// open finds the meta page that counts, as bbolt does: the latest that is whole.
func (f *file) open() error {
	page := make([]byte, headerSize+64)
	m, size := meta{}, int64(0)
	if f.readMeta(page, 0) {
		m, size = decodeMeta(page[headerSize:])
	} else {
		for at := int64(1024); at <= 1024<<14 && size == 0; at *= 2 {
			if f.readMeta(page, at) {
				m, size = decodeMeta(page[headerSize:])
			}
		}
	}
	if size < 1024 || size > 1024<<14 || size&(size-1) != 0 {
		return &Damage{0, "neither of the two meta pages is whole"}
	}
	f.pageSize = size
	if f.readMeta(page, size) {
		if other, _ := decodeMeta(page[headerSize:]); other.tx > m.tx {
			m = other
		}
	}
	f.meta = m
	if m.pages > 1<<40 || m.pages < 4 {
		return &Damage{0, fmt.Sprintf("the file cannot have %d pages", m.pages)}
	}
	f.seen = make([]uint64, min(m.pages, uint64(f.size/size)+1)/64+1) // #nosec G115 -- never negative
	if need := int64(m.pages) * size; f.size < need {                 // #nosec G115 -- bounded above
		return f.found(&Damage{uint64(f.size / size), fmt.Sprintf("the file is cut off: it has %d bytes of %d", f.size, need)}) // #nosec G115 -- never negative
	}
	return nil
}

// readMeta says whether there is a whole meta page.
func (f *file) readMeta(page []byte, at int64) bool {
	if _, err := f.r.ReadAt(page, at); err != nil {
		return false
	}
	b := page[headerSize:]
	h := fnv.New64a()
	_, _ = h.Write(b[:56])
	return binary.NativeEndian.Uint32(b) == magic && binary.NativeEndian.Uint32(b[4:]) == version &&
		binary.NativeEndian.Uint64(b[56:]) == h.Sum64()
}

func decodeMeta(b []byte) (m meta, pageSize int64) {
	n := binary.NativeEndian
	return meta{root: n.Uint64(b[16:]), freelist: n.Uint64(b[32:]), pages: n.Uint64(b[40:]), tx: n.Uint64(b[48:])}, int64(n.Uint32(b[8:]))
}

// take reads a page's header and first page, and marks all its pages as read. It returns nil after
// damage that is to be stepped over.
func (f *file) take(id uint64, depth int) (*page, error) {
	bad := func(format string, args ...any) (*page, error) {
		return nil, f.found(&Damage{id, fmt.Sprintf(format, args...)})
	}
	if id < 2 || id >= f.pages {
		return bad("there is no such page")
	}
	if depth >= maxDepth {
		return bad("the tree is too deep")
	}
	for len(f.bufs) <= depth {
		f.bufs = append(f.bufs, make([]byte, f.pageSize))
	}
	p := &page{f: f, id: id, b: f.bufs[depth], at: int64(id) * f.pageSize} // #nosec G115 -- below pages, which is bounded
	if _, err := f.r.ReadAt(p.b, p.at); err != nil {
		if !errors.Is(err, io.EOF) && f.visit == nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
		return bad("cannot be read: %v", err)
	}
	p.decode(p.b)
	if named := binary.NativeEndian.Uint64(p.b); named != id {
		return bad("calls itself page %d", named)
	}
	if id+p.overflow >= f.pages {
		return bad("goes on behind the end")
	}
	p.size = int64(p.overflow+1) * f.pageSize // #nosec G115 -- 32 bits
	for i := id; i <= id+p.overflow; i++ {
		if i/64 >= uint64(len(f.seen)) {
			return bad("goes on behind the end of the file")
		}
		if f.seen[i/64]&(1<<(i%64)) != 0 {
			return bad("is used twice")
		}
		f.seen[i/64] |= 1 << (i % 64)
	}
	return p, nil
}

// free marks the free pages as read.
func (f *file) free() {
	p := &page{f: f, id: f.freelist, at: int64(f.freelist) * f.pageSize, size: f.pageSize} // #nosec G115 -- has been checked
	p.b = make([]byte, f.pageSize)
	if _, err := f.r.ReadAt(p.b, p.at); err != nil {
		return
	}
	p.decode(p.b)
	p.size *= int64(p.overflow + 1) // #nosec G115 -- 32 bits
	list, err := p.freeList()
	for ; err == nil && len(list) > 0; list = list[8:] {
		id := binary.NativeEndian.Uint64(list)
		f.seen[id/64] |= 1 << (id % 64)
	}
}

// checkFreelist makes sure that no page that is used is also said to be free.
func (f *file) checkFreelist() error {
	if f.freelist == noFreelist {
		return nil
	}
	p, err := f.take(f.freelist, 0)
	if err != nil {
		return err
	}
	if p.flags != isFreelist {
		return &Damage{p.id, "is no list of free pages"}
	}
	list, err := p.freeList()
	if err != nil {
		return err
	}
	for before := uint64(1); len(list) > 0; list = list[8:] {
		id := binary.NativeEndian.Uint64(list)
		if id <= before || id >= f.pages {
			return &Damage{p.id, fmt.Sprintf("page %d has no place in the list of free pages", id)}
		}
		if f.seen[id/64]&(1<<(id%64)) != 0 {
			return &Damage{p.id, fmt.Sprintf("page %d is used, and said to be free", id)}
		}
		before = id
	}
	return nil
}
