package crashtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
)

// letter is one request: the seq-th of a sender. It is never sent twice.
type letter struct{ sender, seq int }

func (l letter) String() string { return fmt.Sprintf("%d/%d", l.sender, l.seq) }

// filler is what bodies are cut from.
var filler = func() []byte {
	b := make([]byte, 1<<18)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// body follows from the letter alone, so that whoever gets it knows how it should be.
// Most are small; a few need several pages of a store.
func (l letter) body() []byte {
	r := rand.New(rand.NewPCG(uint64(l.sender), uint64(l.seq)))
	size := r.IntN(2 << 10)
	switch n := r.IntN(100); {
	case n == 0:
		size = r.IntN(128 << 10)
	case n < 10:
		size = r.IntN(16 << 10)
	}
	from := r.IntN(len(filler) - size)
	return append(fmt.Appendf(nil, "%d %d\n", l.sender, l.seq), filler[from:from+size]...)
}

func (l letter) query() string {
	return fmt.Sprintf("sender=%d&seq=%d", l.sender, l.seq)
}

// readLetter returns the letter that query and body both say they are.
func readLetter(query string, body []byte) (letter, error) {
	v, err := url.ParseQuery(query)
	if err != nil {
		return letter{}, err
	}
	var l letter
	if l.sender, err = strconv.Atoi(v.Get("sender")); err != nil {
		return l, err
	}
	if l.seq, err = strconv.Atoi(v.Get("seq")); err != nil {
		return l, err
	}
	if want := l.body(); !bytes.Equal(body, want) {
		return l, fmt.Errorf("%d bytes are not the %d that were sent", len(body), len(want))
	}
	return l, nil
}
