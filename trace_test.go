package repeater_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/webhook-repeater/repeater"
)

const (
	senderTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	senderState = "vendor=Value==, other=1"
)

// recorder keeps the spans that have ended.
func recorder(t *testing.T, opts ...sdktrace.TracerProviderOption) (*tracetest.SpanRecorder, trace.TracerProvider) {
	t.Helper()
	rec := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(rec))...)
	t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
	return rec, tp
}

// TestTraceparentTravels as it came, and is not added where none came, whether we trace or not.
func TestTraceparentTravels(t *testing.T) {
	t.Parallel()
	_, tp := recorder(t)
	for name, opts := range map[string][]repeater.Option{"not tracing": nil, "tracing": {repeater.WithTracerProvider(tp)}} {
		dest := newDestination(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		rp := deliver(t, append(opts, repeater.Route("/x", dest.url("/")))...)
		addr := listen(t, rp)
		sendRaw(t, addr, post("/x", "1", "traceparent: "+senderTrace, "tracestate: "+senderState, "baggage: a=b"))
		got := dest.next(t)
		for header, want := range map[string]string{"Traceparent": senderTrace, "Tracestate": senderState, "Baggage": "a=b"} {
			if diff := cmp.Diff([]string{want}, got.values(header)); diff != "" {
				t.Errorf("%s: %s: -sent +arrived:\n%s", name, header, diff)
			}
		}
		sendRaw(t, addr, post("/x", "2"))
		got = dest.next(t)
		for _, header := range []string{"Traceparent", "Tracestate", "Baggage"} {
			if v := got.values(header); v != nil {
				t.Errorf("%s: %s was added: %q", name, header, v)
			}
		}
	}
}

// TestTraces: a span for the acceptance and one for each attempt, linked to it, also after a restart.
func TestTraces(t *testing.T) {
	t.Parallel()
	rec, tp := recorder(t)
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		b.post("/r", "1", func(r *http.Request) { r.Header.Set("Traceparent", senderTrace) })
		b.pass(time.Second)
		b.replies(func(sent) reply { return status(200) })
		b.restart()
		b.pass(time.Hour)
	}, repeater.WithTracerProvider(tp), repeater.WithQuickRetries(0), repeater.Route("/r", "http://a.example", repeater.Name("r")))

	spans := rec.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	accept := spans[0]
	id := attributes(accept)["repeater.id"].AsString()
	if accept.Name() != "repeater accept" || accept.SpanKind() != trace.SpanKindServer || id == "" {
		t.Errorf("the first span is %s with the id %q", accept.Name(), id)
	}
	if accept.Parent().IsValid() {
		t.Error("anybody can choose the trace that we are in")
	}
	if l := accept.Links(); len(l) != 1 || l[0].SpanContext.TraceID().String() != strings.Split(senderTrace, "-")[1] {
		t.Errorf("the acceptance is linked to %+v, want the sender's span", l)
	}
	for i, want := range []struct {
		status int64
		code   codes.Code
	}{{503, codes.Error}, {200, codes.Unset}} {
		s := spans[i+1]
		got := attributes(s)
		if s.Name() != "repeater deliver" || s.SpanKind() != trace.SpanKindClient || got["repeater.id"].AsString() != id ||
			got["repeater.attempt"].AsInt64() != int64(i+1) || got["repeater.route"].AsString() != "r" {
			t.Errorf("span %d is %s of %v", i+1, s.Name(), got)
		}
		if got["http.response.status_code"].AsInt64() != want.status || s.Status().Code != want.code {
			t.Errorf("attempt %d: status %v and %v, want %+v", i+1, got["http.response.status_code"], s.Status(), want)
		}
		if l := s.Links(); len(l) != 1 || l[0].SpanContext.SpanID() != accept.SpanContext().SpanID() ||
			l[0].SpanContext.TraceID() != accept.SpanContext().TraceID() {
			t.Errorf("attempt %d is linked to %+v, want the acceptance", i+1, l)
		}
		if s.Parent().IsValid() {
			t.Errorf("attempt %d has a parent", i+1)
		}
	}
}

// TestTraceUnderMiddleware: a span that is there already is the parent.
func TestTraceUnderMiddleware(t *testing.T) {
	t.Parallel()
	rec, tp := recorder(t)
	q := new(pushes)
	rp := door(t, q, repeater.WithTracerProvider(tp), repeater.Route("/x", "http://a.example"),
		repeater.Route("/signed", "http://a.example", repeater.Verify(repeater.GitHub("hunter2"))))
	ctx, outer := tp.Tracer("test").Start(t.Context(), "outer")
	under := func(r *http.Request) { *r = *r.WithContext(ctx) }
	wantStatus(t, try(rp, "POST", "/x", under), 200)
	wantStatus(t, try(rp, "POST", "/signed", under), 401)
	try(rp, "POST", "/nobody", under)
	spans := rec.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2: what matches no route has none", len(spans))
	}
	for _, s := range spans {
		if s.Parent().SpanID() != outer.SpanContext().SpanID() || len(s.Links()) > 0 {
			t.Errorf("the parent is %v, and the links %v", s.Parent(), s.Links())
		}
	}
	if s := spans[1].Status(); s.Code != codes.Error || s.Description != "signature" || attributes(spans[1])["http.response.status_code"].AsInt64() != 401 {
		t.Errorf("the refused one has the status %v", s)
	}
	if got, want := storedRequest(t, q).Trace, "00-"+spans[0].SpanContext().TraceID().String()+"-"+spans[0].SpanContext().SpanID().String()+"-01"; got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// TestNothingIsStoredOfATrace that nobody keeps: the format stays that which older programs read.
func TestNothingIsStoredOfATrace(t *testing.T) {
	t.Parallel()
	_, tp := recorder(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	for name, o := range map[string]repeater.Option{"not sampled": repeater.WithTracerProvider(tp), "not tracing": repeater.WithTracerProvider(nil)} {
		q := new(pushes)
		rp := door(t, q, o, repeater.Route("/x", "http://a.example"))
		wantStatus(t, try(rp, "POST", "/x", func(r *http.Request) { r.Header.Set("Traceparent", senderTrace) }), 200)
		if payload := q.only(t).Messages[0].Payload; payload[0] != 1 {
			t.Errorf("%s: stored as version %d of the format, want 1", name, payload[0])
		}
	}
}

func attributes(s sdktrace.ReadOnlySpan) map[attribute.Key]attribute.Value {
	all := make(map[attribute.Key]attribute.Value)
	for _, a := range s.Attributes() {
		all[a.Key] = a.Value
	}
	return all
}
