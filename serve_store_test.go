package repeater_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/webhook-repeater/repeater"
)

var errStore = errors.New("the disk is full")

// wantUnavailable checks that the sender hears: our trouble, try again.
func wantUnavailable(t *testing.T, status int, h http.Header) {
	t.Helper()
	if status != 503 || h.Get("Retry-After") == "" || h.Get("Repeater-Id") != "" {
		t.Errorf("got %d, Retry-After %q, Repeater-Id %q, want 503, some and none",
			status, h.Get("Retry-After"), h.Get("Repeater-Id"))
	}
}

func TestFanOutIsOneBatch(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	rp := door(t, q, repeater.Route("/hooks/", "http://Dest.EXAMPLE/a", repeater.Name("fan"),
		repeater.AlsoTo("http://dest.example:80/b?c"),
		repeater.AlsoTo("https://user:secret@dest.example/"),
		repeater.AlsoTo("HTTPS://dest.example:443"),
		repeater.AlsoTo("http://dest.example:443"),
		repeater.AlsoTo("http://[2001:DB8::1]/"),
		repeater.AlsoTo("http://[2001:db8::1]:8080/"),
		repeater.AlsoTo("http://192.0.2.1"),
	))
	before := time.Now()
	id := try(rp, "POST", "/hooks/x").Header().Get("Repeater-Id")
	got := q.only(t)
	want := repeater.Batch{ID: id, Route: "fan", Messages: []repeater.Message{
		{Dest: 0, Lane: "http://dest.example:80"},
		{Dest: 1, Lane: "http://dest.example:80"},
		{Dest: 2, Lane: "https://dest.example:443"},
		{Dest: 3, Lane: "https://dest.example:443"},
		{Dest: 4, Lane: "http://dest.example:443"},
		{Dest: 5, Lane: "http://[2001:db8::1]:80"},
		{Dest: 6, Lane: "http://[2001:db8::1]:8080"},
		{Dest: 7, Lane: "http://192.0.2.1:80"},
	}}
	ignore := cmp.Options{cmpopts.IgnoreFields(repeater.Batch{}, "Received", "Bound"), cmpopts.IgnoreFields(repeater.Message{}, "Payload")}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
	if got.Received.Before(before) || got.Received.After(time.Now()) {
		t.Errorf("Received is %v, not the time of the request", got.Received)
	}
}

// keyCodec refuses one key and remembers all.
type keyCodec struct {
	repeater.BinaryCodec
	refuse int
	keys   []repeater.Key
}

func (c *keyCodec) Encode(key repeater.Key, r *repeater.Request) ([]byte, error) {
	c.keys = append(c.keys, key)
	if key.Dest == c.refuse {
		return nil, errors.New("no key to encrypt with")
	}
	return c.BinaryCodec.Encode(key, r)
}

func TestMessagesAreEncodedUnderTheirKeys(t *testing.T) {
	t.Parallel()
	q, codec := &pushes{}, &keyCodec{refuse: -1}
	rp := door(t, q, repeater.Route("/", anywhere, repeater.AlsoTo(anywhere)), repeater.WithCodec(codec))
	id := try(rp, "POST", "/x").Header().Get("Repeater-Id")
	if diff := cmp.Diff([]repeater.Key{{ID: id}, {ID: id, Dest: 1}}, codec.keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// A codec that fails, for want of a key or of its server, is our own trouble: the sender is to try again.
func TestCodecErrorIs503(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	q := &pushes{}
	rp := door(t, q, repeater.Route("/", anywhere, repeater.AlsoTo(anywhere), repeater.Name("coded")),
		repeater.WithCodec(&keyCodec{refuse: 1}), repeater.WithLogger(log))
	w := try(rp, "POST", "/x")
	wantStatus(t, w, 503)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	q.wantNothing(t)
	if strings.Contains(w.Body.String(), "encrypt") {
		t.Errorf("the sender is told %q", w.Body)
	}
	if got := logged.String(); !strings.Contains(got, "coded") || !strings.Contains(got, "no key to encrypt with") {
		t.Errorf("the log names neither route nor reason:\n%s", got)
	}
}

func TestStoredRequest(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	addr := listen(t, door(t, q, repeater.Route("/hooks/", anywhere)))
	sendRaw(t, addr, "PATCH /hooks/%41//b?x=%zz HTTP/1.1\r\nHost: In.Example:81\r\nX-A: 1\r\nx-a: 2\r\n"+
		"Connection: X-Drop\r\nX-Drop: 1\r\nContent-Length: 3\r\n\r\n\x00\xff\n")
	got := storedRequest(t, q)
	if !strings.HasPrefix(got.RemoteAddr, "127.0.0.1:") {
		t.Errorf("RemoteAddr is %q, not the connection's", got.RemoteAddr)
	}
	want := &repeater.Request{
		Method: "PATCH", Host: "In.Example:81", Path: "/hooks/%41//b", Query: "?x=%zz",
		Header: http.Header{"X-A": {"1", "2"}, "Via": {"1.1 webhook-repeater"}}, Body: []byte("\x00\xff\n"),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(repeater.Request{}, "RemoteAddr")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestDeduplicatedIDIsTheAnswer(t *testing.T) {
	t.Parallel()
	const first = "of-the-first-request"
	rp := door(t, &pushes{push: func(context.Context, repeater.Batch) (string, error) { return first, nil }},
		repeater.Route("/", anywhere))
	w := try(rp, "POST", "/x")
	wantStatus(t, w, 200)
	if got := w.Header().Get("Repeater-Id"); got != first {
		t.Errorf("Repeater-Id is %q, want %q", got, first)
	}
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	rp := door(t, &pushes{push: func(context.Context, repeater.Batch) (string, error) { return "", errStore }},
		repeater.Route("/", anywhere, repeater.Name("full")), repeater.WithLogger(log))
	w := try(rp, "POST", "/x")
	wantUnavailable(t, w.Code, w.Header())
	if strings.Contains(w.Body.String(), "disk") {
		t.Errorf("the sender is told %q", w.Body)
	}
	if got := logged.String(); !strings.Contains(got, errStore.Error()) || !strings.Contains(got, "full") {
		t.Errorf("the log names neither route nor reason:\n%s", got)
	}
}

func TestPushTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []repeater.Option
		want time.Duration
	}{
		{"default", nil, 5 * time.Second},
		{"zero", []repeater.Option{repeater.WithPushTimeout(0)}, 5 * time.Second},
		{"set", []repeater.Option{repeater.WithPushTimeout(time.Minute), repeater.WithPushTimeout(70 * time.Millisecond)}, 70 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left time.Duration
				rp := door(t, &pushes{push: func(ctx context.Context, _ repeater.Batch) (string, error) {
					if deadline, ok := ctx.Deadline(); ok {
						left = time.Until(deadline)
					}
					<-ctx.Done()
					return "", ctx.Err()
				}}, append(tt.opts, repeater.Route("/", anywhere))...)
				started := time.Now()
				w := try(rp, "POST", "/x")
				wantUnavailable(t, w.Code, w.Header())
				if took := time.Since(started); left != tt.want || took != tt.want {
					t.Errorf("the store had %v and the answer took %v, want %v", left, took, tt.want)
				}
			})
		})
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	rp := door(t, q, repeater.Route("/", anywhere))
	if err := rp.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w := try(rp, "POST", "/x")
	wantUnavailable(t, w.Code, w.Header())
	q.wantNothing(t)
	if err := rp.Run(t.Context()); !errors.Is(err, repeater.ErrClosed) {
		t.Errorf("Run after Close: %v, want ErrClosed", err)
	}
	if err := rp.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestWrongOptionsAre500(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	rp := repeater.New(repeater.Route("/", "ftp://dest.example"), repeater.WithLogger(log))
	w := try(rp, "POST", "/x")
	wantStatus(t, w, 500)
	if strings.Contains(w.Body.String(), "ftp") {
		t.Errorf("the sender is told %q", w.Body)
	}
	if got := logged.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "ftp") {
		t.Errorf("the log does not tell the mistake:\n%s", got)
	}
	if err := rp.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
