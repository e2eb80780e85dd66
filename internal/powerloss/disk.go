// Package powerloss is a disk that keeps what was synced, and of the rest what chance
// lets it keep: some writes whole, some torn within a page, some not at all, in any order.
//
// A test tells a [Disk] what a program writes and syncs, and notes between them what the program
// has promised meanwhile. [Disk.Crash] then shows the file as it may be found after the
// power went at any point of this record.
package powerloss

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
)

const (
	page   = 4096
	sector = 512 // what a disk writes wholly or not at all
)

// Disk is the record of what happened to the one file of a name, and to files that were
// renamed to it. Its methods may be called from several goroutines.
type Disk struct {
	mu     sync.Mutex
	events []event
	files  int
}

// File is a file on a Disk, and has the name, or will have.
type File struct {
	disk *Disk
	n    int
}

type event struct {
	do   action
	file int
	at   int64
	data []byte // written
	has  *Image // the file as it was when it got the name
	note any
}

type action uint8

const (
	noted action = iota
	named        // the name is the file's, and the file is synced
	grown
	wrote
	synced
)

// Named records that a file which is synced has got the name, also in the place of
// another. That the name is the new file's is certain only when the file is synced next.
func (d *Disk) Named(content *Image) *File {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &File{d, d.files}
	d.files++
	d.events = append(d.events, event{do: named, file: f.n, has: content})
	return f
}

// Note records whatever the test wants to find again between the writes.
func (d *Disk) Note(note any) { d.add(event{note: note}) }

// Write records a write, of whole sectors.
func (f *File) Write(b []byte, at int64) {
	f.disk.add(event{do: wrote, file: f.n, at: at, data: bytes.Clone(b)})
}

// Grow records that the file has this size. A loss of power finds it, or the size before.
func (f *File) Grow(size int64) { f.disk.add(event{do: grown, file: f.n, at: size}) }

// Sync records that all writes before are certain.
func (f *File) Sync() { f.disk.add(event{do: synced, file: f.n}) }

func (d *Disk) add(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// Len is the number of points at which the power can go, which are counted from 0.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events) + 1
}

// Notes returns the notes from before a point.
func (d *Disk) Notes(point int) (notes []any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events[:point] {
		if e.do == noted {
			notes = append(notes, e.note)
		}
	}
	return notes
}

// Crash returns the file of the name as it may be found when the power has gone at a
// point. It is nil if there may have been none.
func (d *Disk) Crash(point int, rand *rand.Rand) *Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	owners := []int{-1} // whose the name may be; -1: nobody's
	files := make(map[int]*state)
	for _, e := range d.events[:point] {
		f := files[e.file]
		switch e.do {
		case named:
			files[e.file] = &state{image: e.has.clone()}
			owners = append(owners, e.file)
		case grown:
			f.sizes = append(f.sizes, e.at)
		case wrote:
			f.unsure = append(f.unsure, e)
		case synced:
			f.settle()
			owners = []int{e.file}
		}
	}
	f := files[owners[rand.IntN(len(owners))]]
	if f == nil {
		return nil
	}
	f.lose(rand)
	return f.image
}

// state is a file in the course of a record.
type state struct {
	image  *Image
	sizes  []int64
	unsure []event
}

func (s *state) settle() {
	for _, size := range s.sizes {
		s.image.size = max(s.image.size, size)
	}
	for _, w := range s.unsure {
		s.image.write(w.data, w.at)
	}
	s.sizes, s.unsure = nil, nil
}

// lose lets chance decide what is left of what is not synced.
func (s *state) lose(rand *rand.Rand) {
	if n := rand.IntN(len(s.sizes) + 1); n > 0 {
		s.image.size = max(s.image.size, s.sizes[n-1])
	}
	kept, torn := rand.Float64()*1.2, rand.Float64() // often all, so that the last write alone is in doubt
	for _, w := range s.unsure {
		for off := 0; off < len(w.data); off += page {
			data := w.data[off:min(off+page, len(w.data))]
			switch at := w.at + int64(off); {
			case rand.Float64() < kept:
				s.image.write(data, at)
			case rand.Float64() < torn:
				for cut := 0; cut < len(data); cut += sector {
					if rand.IntN(2) == 0 {
						s.image.write(data[cut:min(cut+sector, len(data))], at+int64(cut))
					}
				}
			}
		}
	}
}

// Image is the content of a file. Pages of zeros take no room.
type Image struct {
	size  int64
	pages map[int64][]byte // never changed, only replaced
}

// Read returns the content of a file.
func Read(path string) (*Image, error) {
	content, err := os.ReadFile(path) // #nosec G304 -- a test's own file
	if err != nil {
		return nil, err
	}
	im := &Image{int64(len(content)), make(map[int64][]byte)}
	zeros := make([]byte, page)
	for at := 0; at < len(content); at += page {
		if b := content[at:min(at+page, len(content))]; !bytes.Equal(b, zeros[:len(b)]) {
			im.write(b, int64(at))
		}
	}
	return im, nil
}

// Store writes the content to a file, in the place of what it had.
func (im *Image) Store(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- a test's own file
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(im.size); err != nil {
		return err
	}
	for n, b := range im.pages {
		if at := n * page; at < im.size {
			if _, err := f.WriteAt(b[:min(page, im.size-at)], at); err != nil {
				return err
			}
		}
	}
	return f.Close()
}

func (im *Image) clone() *Image { return &Image{im.size, maps.Clone(im.pages)} }

func (im *Image) write(b []byte, at int64) {
	im.size = max(im.size, at+int64(len(b)))
	for len(b) > 0 {
		n, off := at/page, at%page
		cut := min(page-off, int64(len(b)))
		if cut == page {
			im.pages[n] = b[:page:page]
		} else {
			p := make([]byte, page)
			copy(p, im.pages[n])
			copy(p[off:], b[:cut])
			im.pages[n] = p
		}
		at, b = at+cut, b[cut:]
	}
}
