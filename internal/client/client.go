// Package client asks a running webhook-repeater over its admin API.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client talks to one server. Its methods may be called concurrently.
type Client struct {
	base  string
	token string
	http  *http.Client
}

const (
	patience    = 2 * time.Minute // for one answer: a step over many dead letters takes its time
	mostAnswer  = 64 << 20        // bytes of an answer: a thousand messages, or a request with its body
	dialTimeout = 5 * time.Second
)

// New returns a client for the server at base, http://HOST:PORT with or without a prefix. The token may be "".
func New(base, token string) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("is not an address; write http://HOST:PORT")
	case u.User != nil:
		return nil, errors.New("has a user or password in it; leave it out, and give the token by a file")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New(`has a "?" or "#"; write http://HOST:PORT`)
	}
	return &Client{
		base: strings.TrimSuffix(u.String(), "/"), token: token,
		// Who redirects would be told the token.
		http: &http.Client{Transport: newTransport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Base is the address of the server, which holds no secret.
func (c *Client) Base() string { return c.base }

// get asks for path with its query, and reads the answer into out.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, body, out)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	return c.read(resp, answer, out)
}

// read takes nothing for an answer that is not one of the API.
func (c *Client) read(resp *http.Response, answer []byte, out any) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var told struct {
		Error *string `json:"error"`
	}
	switch {
	case kind != "application/json":
		return c.stranger(resp.StatusCode)
	case resp.StatusCode == http.StatusOK:
		if err := json.Unmarshal(answer, out); err != nil {
			return c.stranger(resp.StatusCode)
		}
		return nil
	case json.Unmarshal(answer, &told) != nil || told.Error == nil:
		return c.stranger(resp.StatusCode)
	case resp.StatusCode == http.StatusUnauthorized && c.token == "":
		return &Error{resp.StatusCode, c.base + " asks for its token; name a file with it by --token-file, set REPEATER_TOKEN, or name its configuration with -c"}
	case resp.StatusCode == http.StatusUnauthorized:
		return &Error{resp.StatusCode, c.base + " does not take this token; it is the one under [admin] in its configuration"}
	}
	return &Error{resp.StatusCode, *told.Error}
}

func (c *Client) stranger(status int) error {
	return &Error{status, fmt.Sprintf("%s answers %d, and not as a webhook-repeater's admin address does; name that with --server or REPEATER_ADMIN", c.base, status)}
}

// Error is what a server has answered instead of what it was asked for.
type Error struct {
	Status int
	Text   string // a line for people
}

func (e *Error) Error() string { return e.Text }

// IsNotFound tells whether a server knows no such message or lane.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
