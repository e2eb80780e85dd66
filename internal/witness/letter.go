// Package witness sends numbered requests through a Repeater, receives them at the other
// end, and judges: what was acknowledged must arrive, whole and in order.
package witness

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
)

// Letter is one request: the Seq-th of a sender. It is never sent twice.
type Letter struct{ Sender, Seq int }

func (l Letter) String() string { return fmt.Sprintf("%d/%d", l.Sender, l.Seq) }

// filler is what bodies are cut from.
var filler = func() []byte {
	b := make([]byte, 1<<18)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// Body follows from the letter alone, so that whoever gets it knows how it should be.
// Most are small; a few need several pages of a store.
func (l Letter) Body() []byte {
	r := rand.New(rand.NewPCG(uint64(l.Sender), uint64(l.Seq))) // #nosec G115 G404 -- never negative; anybody may guess it
	size := r.IntN(2 << 10)
	switch n := r.IntN(100); {
	case n == 0:
		size = r.IntN(128 << 10)
	case n < 10:
		size = r.IntN(16 << 10)
	}
	from := r.IntN(len(filler) - size)
	return append(fmt.Appendf(nil, "%d %d\n", l.Sender, l.Seq), filler[from:from+size]...)
}

func (l Letter) query() string {
	return fmt.Sprintf("sender=%d&seq=%d", l.Sender, l.Seq)
}

// readLetter returns the letter that query and body both say they are.
func readLetter(query string, body []byte) (Letter, error) {
	v, err := url.ParseQuery(query)
	if err != nil {
		return Letter{}, err
	}
	var l Letter
	if l.Sender, err = strconv.Atoi(v.Get("sender")); err != nil {
		return l, err
	}
	if l.Seq, err = strconv.Atoi(v.Get("seq")); err != nil {
		return l, err
	}
	if want := l.Body(); !bytes.Equal(body, want) {
		return l, fmt.Errorf("%d bytes are not the %d that were sent", len(body), len(want))
	}
	return l, nil
}
