package admin

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Options is what the operator decides about API and pages.
type Options struct {
	Token        string // to sign in with; "" lets in whoever is on this machine, and nobody else
	ShowPayloads bool   // show headers and bodies, secrets included
	Version      string
	Metrics      http.Handler // under /metrics; nil for none
	// Backup writes a copy of all that is stored, and nothing before it is whole. nil: that is not allowed.
	Backup func(ctx context.Context, w io.Writer) error
}

// New serves src: the API under /api/v1/, the pages under all else. /healthz and /readyz, for
// whoever watches over the process, are open to everybody and tell next to nothing.
func New(src Source, o Options) http.Handler {
	src = discreet{src, o.ShowPayloads}
	g := &guard{key: newKey(o.Token)}
	inner := http.NewServeMux()
	(&api{src: src, opts: o}).mount(inner)
	if o.Metrics != nil {
		inner.Handle("GET "+metricsPath, o.Metrics)
	}
	inner.Handle("/", g.withSession(pages(src, o)))

	outer := http.NewServeMux()
	outer.HandleFunc(opAlive, alive)
	outer.Handle(opReady, &readiness{src: src})
	outer.Handle("GET /assets/", assets()) // the login looks by them, and they tell nothing
	outer.Handle("/", g.protect(inner))
	return harden(outer)
}

const metricsPath = "/metrics"

// strictPolicy lets a page load nothing but our own files, run no inline script, and stand in no frame.
const strictPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// harden tells browsers what they must not do with any answer. Pages may tell them less.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", strictPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readiness is asked by whoever likes, so that the store is asked once a second at most.
type readiness struct {
	src Source

	mu     sync.Mutex
	asked  time.Time
	health Health
}

const askAgain = time.Second

func (r *readiness) now(ctx context.Context) Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.asked) >= askAgain {
		r.health = r.src.Health(context.WithoutCancel(ctx)) // others want to know, too
		r.asked = now
	}
	return r.health
}

// ServeHTTP answers 503 as long as requests are not stored, or nobody delivers them.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := r.now(req.Context())
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}{h.Ready, orEmpty(h.Reasons)})
}
