package repeater_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhook-repeater/repeater"
)

func TestLoopGuard(t *testing.T) {
	t.Parallel()
	const us = "1.1 webhook-repeater"
	for _, tt := range []struct {
		name string
		via  []string
		want int
	}{
		{"none", nil, 200},
		{"four", []string{us, us + ", " + us, us}, 200},
		{"five lines", []string{us, us, us, us, us}, 508},
		{"five in one", []string{strings.Repeat(us+",", 5)}, 508},
		{"five, of all versions", []string{"2.0 webhook-repeater (x), HTTP/1.1  webhook-repeater,\t1.0 webhook-repeater", us, us}, 508},
		{"five others", []string{"1.1 a, 1.1 b, 1.1 c, 1.1 d, 1.1 e, 1.1 webhook-repeaters, webhook-repeater"}, 200},
		{"nonsense", []string{"", ",,,", " ", "1.1"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			w := try(door(t, q, repeater.Route("/", anywhere)), "POST", "/x", func(r *http.Request) { r.Header["Via"] = tt.via })
			wantStatus(t, w, tt.want)
			if tt.want != 200 {
				q.wantNothing(t)
			}
		})
	}
}

// TestLoopEnds sends a repeater's deliveries back to its door.
func TestLoopEnds(t *testing.T) {
	t.Parallel()
	var rp atomic.Pointer[repeater.Repeater]
	refused := make(chan int, 100)
	var arrived atomic.Int32
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		rec := &statusRecorder{ResponseWriter: w}
		rp.Load().ServeHTTP(rec, r)
		if rec.status != 0 {
			refused <- rec.status
		}
	}))
	rp.Store(deliver(t, repeater.Route("/", "http://"+addr)))
	sendRaw(t, addr, post("/x", "x"))
	if got := receive(t, refused, "the end of the circle"); got != 508 {
		t.Errorf("the circle ends with %d, want 508", got)
	}
	if n := arrived.Load(); n != 6 {
		t.Errorf("arrived %d times, want once, and five times more through us", n)
	}
}

// statusRecorder keeps the status where one is written.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
