package repeater_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/webhook-repeater/repeater"
)

// webhook is what a sender like GitHub sends.
func webhook(size int) *repeater.Request {
	return &repeater.Request{
		Method: "POST", Host: "hooks.example.com", Path: "/hooks/jira", Query: "?issue=A-1", RemoteAddr: "192.0.2.1:41234",
		Header: http.Header{
			"Accept": {"*/*"}, "Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/1"}, "X-Github-Event": {"push"},
			"X-Github-Delivery": {"72d3162e-cc78-11e3-81ab-4c9367dc0958"}, "X-Hub-Signature-256": {"sha256=" + string(bytes.Repeat([]byte("a"), 64))},
		},
		Body: bytes.Repeat([]byte("x"), size),
	}
}

// BenchmarkCodec is what it takes to make a request's bytes, and a request of them.
func BenchmarkCodec(b *testing.B) {
	for _, size := range benchSizes {
		r := webhook(size)
		b.Run(fmt.Sprintf("encode %d bytes", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				encode(b, r)
			}
		})
		data := encode(b, r)
		b.Run(fmt.Sprintf("decode %d bytes", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (repeater.BinaryCodec{}).Decode(codecKey, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
