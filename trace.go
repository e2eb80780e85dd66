package repeater

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// WithTracerProvider turns tracing on: one span for each request that matches a route, and one for
// each attempt, linked to the span under which its request was accepted, also across a restart.
// Spans contain only names of routes, ids, numbers and statuses.
//
// If the request's context has a span, as set by middleware, that is the parent of the accepting
// span. A traceparent header of the sender is only linked to, as anybody may write one. It is
// forwarded unchanged in any case, and none is added: what a destination gets does not depend on
// this option.
//
// For the link, sampled requests are stored with 55 bytes more, which a program older than this
// option cannot read: where several processes share a store, update all of them first. The default,
// also for nil, is not to trace. The last one holds.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return func(c *config) {
		c.tracer = nil
		if tp != nil {
			c.tracer = tp.Tracer("github.com/webhook-repeater/repeater")
		}
	}
}

// span is one of ours; nil where nobody traces.
type span struct{ trace.Span }

// startAccept begins the span of a request, and has the request carry it.
func (c *config) startAccept(req *http.Request, rt *route) (*http.Request, *span) {
	if c.tracer == nil {
		return req, nil
	}
	ctx := req.Context()
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("repeater.route", rt.name))}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		opts = append(opts, linkTo(propagation.HeaderCarrier(req.Header))...)
	}
	ctx, s := c.tracer.Start(ctx, "repeater accept", opts...)
	return req.WithContext(ctx), &span{s}
}

func linkTo(carrier propagation.TextMapCarrier) []trace.SpanStartOption {
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	if !sc.IsValid() {
		return nil
	}
	return []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: sc})}
}

const traceparent = "traceparent"

// stored is what a message keeps of the span; "" if nobody will look at that.
func (s *span) stored() string {
	if s == nil || !s.SpanContext().IsSampled() {
		return ""
	}
	carrier := make(propagation.MapCarrier)
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.Span), carrier)
	return carrier[traceparent]
}

func (s *span) accepted(id string, duplicate bool) {
	if s != nil {
		s.SetAttributes(attribute.String("repeater.id", id), attribute.Bool("repeater.repeated", duplicate))
	}
}

func (s *span) refused(status int, reason string) {
	if s != nil {
		s.SetAttributes(attribute.Int("http.response.status_code", status))
		s.SetStatus(codes.Error, reason)
	}
}

func (s *span) end() {
	if s != nil {
		s.End()
	}
}

// startDelivery begins the span of an attempt. It belongs to no trace of its own sender: that may be days old.
func (c *config) startDelivery(ctx context.Context, m *Claimed, in *Request) (context.Context, *span) {
	if c.tracer == nil {
		return ctx, nil
	}
	opts := append(linkTo(propagation.MapCarrier{traceparent: in.Trace}), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithNewRoot(), trace.WithAttributes(
			attribute.String("repeater.route", m.Route), attribute.String("repeater.id", m.Key.ID),
			attribute.Int("repeater.destination", m.Key.Dest), attribute.Int("repeater.attempt", m.Attempts+1)))
	ctx, s := c.tracer.Start(ctx, "repeater deliver", opts...)
	return ctx, &span{s}
}

// delivered ends the span of an attempt.
func (s *span) delivered(o *outcome) {
	if s == nil {
		return
	}
	if o.attempt.Status > 0 {
		s.SetAttributes(attribute.Int("http.response.status_code", o.attempt.Status))
	}
	switch {
	case o.cancelled:
		s.SetStatus(codes.Error, "cut off by the end of the process")
	case o.verdict != VerdictDelivered:
		s.SetStatus(codes.Error, o.reason)
	}
	s.End()
}
