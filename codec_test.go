package repeater_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/webhook-repeater/repeater"
)

var codecKey = repeater.Key{ID: "0123456789abcdefghijklmnop", Dest: 3}

func encode(t testing.TB, r *repeater.Request) []byte {
	t.Helper()
	data, err := repeater.BinaryCodec{}.Encode(codecKey, r)
	if err != nil {
		t.Fatalf("encode %+v: %v", r, err)
	}
	return data
}

func roundTrip(t testing.TB, r *repeater.Request) *repeater.Request {
	t.Helper()
	got, err := repeater.BinaryCodec{}.Decode(codecKey, encode(t, r))
	if err != nil {
		t.Fatalf("decode %+v: %v", r, err)
	}
	return got
}

// diffRequests takes nothing and nil for the same, as a codec may. Bodies are compared
// apart: cmp takes long for large ones.
func diffRequests(want, got *repeater.Request) string {
	if !bytes.Equal(want.Body, got.Body) {
		return fmt.Sprintf("-body %.100q\n+body %.100q", want.Body, got.Body)
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(repeater.Request{}, "Body"))
}

func sampleRequest() *repeater.Request {
	return &repeater.Request{
		Method: "POST", Host: "in.example:8100", Path: "/hooks/%2F/\xff", Query: "?a=1;b=%zz", RemoteAddr: "[fe80::1%eth0]:4711", TLS: true,
		Header: http.Header{"Content-Type": {"application/json"}, "X-A": {"1", "", "2"}, "X-None": {}},
		Body:   []byte("\x00\xff the body"),
	}
}

func TestBinaryCodecRoundTrip(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*repeater.Request{
		"zero":          {},
		"full":          sampleRequest(),
		"nil values":    {Header: http.Header{"X": nil}},
		"empty name":    {Header: http.Header{"": {""}}},
		"question mark": {Query: "?"},
		"traced":        {Trace: "00-0123-45-01", RemoteAddr: "192.0.2.1:1", Header: http.Header{"X": {"1"}}, Body: []byte("b")},
		"large":         {Path: "/" + strings.Repeat("p", 1<<16), Body: bytes.Repeat([]byte{0xff}, 1<<20)},
		"its own bytes": {Body: encode(t, sampleRequest())},
	} {
		if diff := diffRequests(r, roundTrip(t, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBinaryCodecRoundTripsAnything(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	text := func(limit int) string {
		b := make([]byte, rnd.IntN(limit))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	for range 2000 {
		r := &repeater.Request{
			Method: text(10), Host: text(300), Path: text(300), Query: text(300), RemoteAddr: text(50),
			TLS: rnd.IntN(2) == 1, Body: []byte(text(1000)), Trace: text(1 + rnd.IntN(2)*60),
		}
		if rnd.IntN(4) > 0 {
			r.Header = make(http.Header)
			for range rnd.IntN(20) {
				name := text(20)
				for range rnd.IntN(4) {
					r.Header[name] = append(r.Header[name], text(200))
				}
			}
		}
		if diff := diffRequests(r, roundTrip(t, r)); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// TestBinaryCodecKeepsNothing: the bytes are the caller's, the request is left alone.
func TestBinaryCodecKeepsNothing(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	data := encode(t, r)
	clear(r.Body)
	got, err := repeater.BinaryCodec{}.Decode(codecKey, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffRequests(sampleRequest(), got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	clear(data)
	r.Body = sampleRequest().Body
	if diff := cmp.Diff(sampleRequest(), r); diff != "" {
		t.Errorf("the request was changed (-want +got):\n%s", diff)
	}
}

// TestBinaryCodecTruncated: bytes that end before the body are an error. Where the body
// ends is for the store to know, whose records have lengths and checksums.
func TestBinaryCodecTruncated(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	data := encode(t, r)
	head := len(data) - len(r.Body)
	for n := range data {
		got, err := repeater.BinaryCodec{}.Decode(codecKey, data[:n:n])
		switch {
		case n < head && err == nil:
			t.Errorf("%d of %d bytes decode to %+v, want an error", n, len(data), got)
		case n < head && got != nil:
			t.Errorf("%d of %d bytes give a request with the error", n, len(data))
		case n < head && !strings.Contains(err.Error(), codecKey.String()):
			t.Errorf("%q does not name the message", err)
		case n >= head && err != nil:
			t.Errorf("%d of %d bytes, all but some of the body: %v", n, len(data), err)
		case n >= head && !bytes.Equal(got.Body, r.Body[:n-head]):
			t.Errorf("%d of %d bytes: body %q, want %q", n, len(data), got.Body, r.Body[:n-head])
		}
	}
}

func TestBinaryCodecUnknownVersion(t *testing.T) {
	t.Parallel()
	data := encode(t, sampleRequest())
	for v := range 256 {
		data[0] = byte(v)
		_, err := repeater.BinaryCodec{}.Decode(codecKey, data)
		if known := v == 1; known != (err == nil) {
			t.Errorf("version %d: %v", v, err)
		}
	}
	if _, err := (repeater.BinaryCodec{}).Decode(codecKey, nil); err == nil {
		t.Error("no bytes decode without an error")
	}
}

// TestBinaryCodecReadsVersion1 pins the bytes: there are stores full of them.
func TestBinaryCodecReadsVersion1(t *testing.T) {
	t.Parallel()
	const stored = "\x01\x01" + "\x04POST" + "\x01h" + "\x02/x" + "\x02?a" + "\x091.2.3.4:5" +
		"\x01" + "\x03X-A" + "\x02" + "\x011" + "\x00" + "body"
	want := &repeater.Request{
		Method: "POST", Host: "h", Path: "/x", Query: "?a", RemoteAddr: "1.2.3.4:5", TLS: true,
		Header: http.Header{"X-A": {"1", ""}}, Body: []byte("body"),
	}
	got, err := repeater.BinaryCodec{}.Decode(codecKey, []byte(stored))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if got := string(encode(t, want)); got != stored {
		t.Errorf("encoded %q, want %q", got, stored)
	}
}

// TestBinaryCodecLyingCounts: a few wrong bytes must not cost much memory. It is not
// parallel: it counts what the process allocates.
func TestBinaryCodecLyingCounts(t *testing.T) {
	const size = 4 << 20
	head := "\x01\x00\x00\x00\x00\x00\x00"
	for name, data := range map[string][]byte{
		"headers": append([]byte(head+"\xff\xff\xff\x01"), bytes.Repeat([]byte{0xff}, size)...),           // 4 Mi of them
		"values":  append([]byte(head+"\x01\x00\xff\xff\xff\x01"), bytes.Repeat([]byte{0xff}, size)...),   // of one header
		"huge":    []byte(head + "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),                                  // headers
		"length":  []byte("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7fPOST"),                             // of the method
		"varint":  []byte("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), // of no number
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := repeater.BinaryCodec{}.Decode(codecKey, data)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > size {
			t.Errorf("%s: %d bytes allocated to decode %d, want fewer", name, allocated, len(data))
		}
	}
}

func FuzzBinaryCodecDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x02\x01X\x01a\x01X\x01b")) // one name twice
	f.Add([]byte("\x01\x80\x00\x00\x00\x00\x00\x00\x00"))                 // a longer form of 0
	full := encode(f, sampleRequest())
	for n := range full {
		f.Add(full[:n])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		r, err := repeater.BinaryCodec{}.Decode(codecKey, data)
		if !bytes.Equal(before, data) {
			t.Fatal("Decode changed its input")
		}
		if err != nil {
			return
		}
		if diff := diffRequests(r, roundTrip(t, r)); diff != "" {
			t.Errorf("encoded and decoded again (-want +got):\n%s", diff)
		}
	})
}
