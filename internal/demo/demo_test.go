package demo

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/reqdump"
)

// TestCompare: whatever differs from what was sent is found.
func TestCompare(t *testing.T) {
	s := sent{id: "1", query: "number=1", body: "body"}
	good := func() *reqdump.Request {
		r := httptest.NewRequest(http.MethodPost, path+"?number=1", nil)
		r.Header.Set("Repeater-Id", "1")
		r.Header.Set("Content-Type", "application/json")
		return &reqdump.Request{HTTP: r, Body: []byte("body")}
	}
	if err := compare(s, good()); err != nil {
		t.Errorf("as it was sent: %v", err)
	}
	for what, change := range map[string]func(*reqdump.Request){
		"another id":   func(r *reqdump.Request) { r.HTTP.Header.Set("Repeater-Id", "2") },
		"method":       func(r *reqdump.Request) { r.HTTP.Method = http.MethodPut },
		"query":        func(r *reqdump.Request) { r.HTTP.RequestURI = path },
		"body":         func(r *reqdump.Request) { r.Body = r.Body[1:] },
		"half a body":  func(r *reqdump.Request) { r.Err = errors.New("ended early") },
		"content type": func(r *reqdump.Request) { r.HTTP.Header.Del("Content-Type") },
	} {
		r := good()
		change(r)
		if compare(s, r) == nil {
			t.Errorf("%s: no difference found", what)
		}
	}
}

// TestInterrupted: a demo that does not come to its end has failed, and says where.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if Run(ctx, &out, Options{Log: slog.New(slog.DiscardHandler)}) {
		t.Error("it calls itself a success")
	}
	if s := out.String(); !strings.Contains(s, "✗") || strings.Contains(s, "All webhooks arrived") {
		t.Errorf("it prints\n%s", s)
	}
}
