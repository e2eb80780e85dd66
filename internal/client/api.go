package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// Page is a part of a list of messages; Next is "" on the last one.
type Page struct {
	Messages []admin.Message `json:"messages"`
	Next     string          `json:"next"`
}

// Done is what a step of Replay or Drop has done. With More, the same filter with To goes on.
type Done struct {
	Done int       `json:"done"`
	More bool      `json:"more"`
	To   time.Time `json:"to"`
}

// PageMost is the longest page, StepMost the longest step.
const (
	PageMost = 1000
	StepMost = 10000
)

// Lanes returns all lanes by name.
func (c *Client) Lanes(ctx context.Context) ([]admin.Lane, error) {
	var out struct {
		Lanes []admin.Lane `json:"lanes"`
	}
	err := c.get(ctx, "/api/v1/lanes", nil, &out)
	return out.Lanes, err
}

// Lane returns one lane.
func (c *Client) Lane(ctx context.Context, name string) (l admin.Lane, err error) {
	err = c.get(ctx, "/api/v1/lane", url.Values{"lane": {name}}, &l)
	return l, err
}

// Messages returns a page of what waits in a lane.
func (c *Client) Messages(ctx context.Context, lane, cursor string, most int) (p Page, err error) {
	err = c.get(ctx, "/api/v1/messages", page(url.Values{"lane": {lane}}, cursor, most), &p)
	return p, err
}

// Dead returns a page of the dead letters of the filter's lane.
func (c *Client) Dead(ctx context.Context, f admin.Filter, cursor string, most int) (p Page, err error) {
	q := url.Values{"lane": {f.Lane}, "key": f.Keys}
	if !f.From.IsZero() {
		q.Set("from", f.From.Format(time.RFC3339Nano))
	}
	if !f.To.IsZero() {
		q.Set("to", f.To.Format(time.RFC3339Nano))
	}
	if f.Status != 0 {
		q.Set("status", strconv.Itoa(f.Status))
	}
	err = c.get(ctx, "/api/v1/dead", page(q, cursor, most), &p)
	return p, err
}

func page(q url.Values, cursor string, most int) url.Values {
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	q.Set("max", strconv.Itoa(most))
	return q
}

// Explain returns every message of an accepted request, or the one that a key names.
func (c *Client) Explain(ctx context.Context, id string) ([]admin.Message, error) {
	var out struct {
		Messages []admin.Message `json:"messages"`
	}
	err := c.get(ctx, "/api/v1/messages/"+url.PathEscape(id), nil, &out)
	return out.Messages, err
}

// Request returns what is stored of a message, where the server shows it.
func (c *Client) Request(ctx context.Context, lane, id string, dest int) (r admin.Request, err error) {
	err = c.get(ctx, "/api/v1/request", url.Values{"lane": {lane}, "id": {id}, "dest": {strconv.Itoa(dest)}}, &r)
	return r, err
}

// Health tells how the server is.
func (c *Client) Health(ctx context.Context) (h admin.Health, err error) {
	err = c.get(ctx, "/api/v1/health", nil, &h)
	return h, err
}

// Config tells what the server was configured to do.
func (c *Client) Config(ctx context.Context) (cfg admin.Config, err error) {
	err = c.get(ctx, "/api/v1/config", nil, &cfg)
	return cfg, err
}

// Order is what can be done to a lane.
type Order string

// The orders.
const (
	Pause       Order = "pause"
	Resume      Order = "resume"
	RetryNow    Order = "retry-now"
	DropRefused Order = "drop-refused"
)

// Steer gives an order, and returns the lane as it is then.
func (c *Client) Steer(ctx context.Context, o Order, lane string) (l admin.Lane, err error) {
	err = c.post(ctx, "/api/v1/lane/"+string(o), map[string]string{"lane": lane}, &l)
	return l, err
}

// Replay puts back into their lanes at most f.Max of the dead letters that match.
func (c *Client) Replay(ctx context.Context, f admin.Filter) (d Done, err error) {
	err = c.post(ctx, "/api/v1/dead/replay", f, &d)
	return d, err
}

// Drop deletes at most f.Max of the dead letters that match.
func (c *Client) Drop(ctx context.Context, f admin.Filter) (d Done, err error) {
	err = c.post(ctx, "/api/v1/dead/drop", f, &d)
	return d, err
}
