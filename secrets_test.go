package repeater_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// reserve returns an address where nobody listens.
func reserve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func wantNoSecret(t *testing.T, log string, secrets ...string) {
	t.Helper()
	for line := range strings.Lines(log) {
		for _, s := range secrets {
			if strings.Contains(strings.ToLower(line), strings.ToLower(s)) {
				t.Errorf("%q is in the log: %s", s, line)
			}
		}
	}
}

// What is a secret in a request or in a route's options. Each is told from all else.
var canaries = []string{
	"canary-path", "canary-query", "canary-header", "canary-body", "canary-cookie",
	"canary-user", "canary-pass", "canary-key", "canary-in", "canary-md5", "canary-token", "canary-meta", "canary-x",
	"Y2FuYXJ5", // "canary" in base64, as in an Authorization
}

func secretTarget(addr string) string {
	return "http://canary-user:canary-pass@" + addr + "/canary-in?key=canary-key"
}

// secretPost is forwarded to /canary-in/canary-path?key=canary-key&canary-query.
func secretPost(headers ...string) string {
	return post("/canary-path?canary-query", "canary-body", append(headers, "X-Token: canary-header", "Cookie: canary-cookie", "X-Gitlab-Token: canary-token")...)
}

// secretOptions are a route's that have secrets; secretPost passes them.
func secretOptions() []repeater.RouteOption {
	return []repeater.RouteOption{
		repeater.SignMD5("canary-md5"), repeater.Sign(strings.Repeat("Y2FuYXJ5", 4)), repeater.Verify(repeater.GitLab("canary-token")),
		repeater.Handshake("meta", "canary-meta"), repeater.Handshake("x", "canary-x"),
	}
}

// secretKey is a key of Encrypt.
func secretKey() string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("canary", 5) + "ca"))
}

// TestDeliveriesDoNotLogSecrets goes through what can become of a message.
func TestDeliveriesDoNotLogSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer string // "" for nobody who listens, "echo" for what was sent
		logs   string
	}{
		{"delivered", answerOK, "delivered"},
		{"refused", "HTTP/1.1 404 canary-in\r\nContent-Length: 11\r\n\r\ncanary-body", "dead letter"},
		{"failed", "HTTP/1.1 500 canary-in\r\nContent-Length: 11\r\nRetry-After: canary-in\r\n\r\ncanary-body", "not delivered; tried again later, the lane goes on"},
		{"unwell", "HTTP/1.1 503 canary-in\r\nContent-Length: 11\r\nRetry-After: canary-in\r\n\r\ncanary-body", "not delivered; the lane waits"},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: /canary-path?canary-key\r\nContent-Length: 0\r\n\r\n", "dead letter"},
		{"redirect to nowhere", "HTTP/1.1 302 Found\r\nLocation: ://%zz/canary-path\r\nContent-Length: 0\r\n\r\n", "dead letter"},
		{"nobody listens", "", "not delivered; the lane waits"},
		{"echo", "echo", "not delivered"},
		{"an answer of no version", "HTTP/canary-path 200\r\n\r\n", "not delivered"},
		{"an answer of no status", "HTTP/1.1 canary-path\r\n\r\n", "not delivered"},
		{"an answer with a bad header", "HTTP/1.1 200 OK\r\ncanary-path\r\n\r\n", "not delivered"},
		{"an answer with a bad first header", "HTTP/1.1 200 OK\r\n canary-path: x\r\n\r\n", "not delivered"},
		{"an answer with a bad header name", "HTTP/1.1 200 OK\r\nX: y\r\ncanary path/: x\r\n\r\n", "not delivered"},
		{"an answer with a bad length", "HTTP/1.1 200 OK\r\nContent-Length: canary-path\r\n\r\n", "not delivered"},
		{"an answer with a bad coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: canary-path\r\n\r\n", "not delivered"},
		{"an answer that is a page", "<html>You asked for /canary-in/canary-path</html>\r\n\r\n", "not delivered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := reserve(t)
			switch tt.answer {
			case "":
			case "echo":
				addr = echo(t)
			default:
				addr = newDestination(t, tt.answer).addr
			}
			logged, log := newLog()
			rp := deliver(t, repeater.WithLogger(log), repeater.WithBackoff(time.Hour, time.Hour), repeater.Encrypt(secretKey()),
				repeater.Route("/{x}", secretTarget(addr), append(secretOptions(), repeater.KeepPath(), repeater.Name("named"))...))
			if got := sendRaw(t, listen(t, rp), secretPost()); got.status != 200 {
				t.Fatalf("got %d, want 200", got.status)
			}
			logged.waitFor(t, tt.logs, func(log string) bool {
				return strings.Contains(log, `msg="`+tt.logs) || strings.Contains(log, "msg="+tt.logs)
			})
			wantNoSecret(t, logged.String(), canaries...)
			if !strings.Contains(logged.String(), "route=named") {
				t.Errorf("the log does not name the route:\n%s", logged)
			}
		})
	}
}

// echo is a destination that sends back what it gets, as a misconfigured one may.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String()
}

// TestTheDoorDoesNotLogSecrets goes through all that can happen on the way in.
func TestTheDoorDoesNotLogSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		err       error
		want      int
	}{
		{"accepted", secretPost(), nil, 200},
		{"store fails", secretPost(), errors.New("no space left"), 503},
		{"declared too large", post("/canary-path?canary-query", "", "Content-Length: 1000"), nil, 413},
		{"chunked too large", post("/canary-path?canary-query", "", "Transfer-Encoding: chunked") + chunked(strings.Repeat("canary-body", 10)), nil, 413},
		{"bad chunk", post("/canary-path?canary-query", "", "Transfer-Encoding: chunked") + "canary-body\r\n", nil, 400},
		{"not allowed", post("/canary-path/closed?canary-query", "canary-body"), nil, 403},
		{"no route", post("/canary-path/canary-path/x", "canary-body"), nil, 404},
		{"wrong method", request("PUT", "/canary-path/posted", "canary-body"), nil, 405},
		{"not genuine", strings.Replace(secretPost(), "canary-token", "canary-forged", 1), nil, 401},
		{"header too large", secretPost("X-A: " + strings.Repeat("canary-header", 500)), nil, 431},
		{"in a circle", secretPost("Via: canary-header, " + strings.Repeat("1.1 webhook-repeater,", 5)), nil, 508},
		{"handshake", request("GET", "/canary-path?crc_token=canary-query", ""), nil, 200},
		{"handshake refused", request("GET", "/canary-path?hub.mode=subscribe&hub.verify_token=canary-query", ""), nil, 403},
		{"leaves its route", post("/canary-path/tree/../canary-path", "canary-body"), nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			logged, log := newLog()
			q := &pushes{push: func(_ context.Context, b repeater.Batch) (string, error) { return b.ID, tt.err }}
			target := secretTarget("dest.example")
			rp := door(t, q, repeater.WithLogger(log), repeater.WithMaxBody(100), repeater.WithMaxHeader(3000), repeater.Encrypt(secretKey()),
				repeater.Route("/canary-path", target, secretOptions()...),
				repeater.Route("/canary-path/closed", target, repeater.AllowFrom("203.0.113.1")),
				repeater.Route("POST /canary-path/posted", target),
				repeater.Route("/canary-path/tree/", target))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rp.ServeHTTP(w, r)
				log.Debug("served")
			})
			if got := sendRaw(t, listen(t, h), tt.raw); got.status != tt.want {
				t.Errorf("got %d, want %d", got.status, tt.want)
			}
			logged.waitFor(t, "the end", func(log string) bool { return strings.Contains(log, "served") })
			wantNoSecret(t, logged.String(), canaries...)
		})
	}
}

// brokenCodec cannot read what it wrote.
type brokenCodec struct{ repeater.BinaryCodec }

func (brokenCodec) Decode(repeater.Key, []byte) (*repeater.Request, error) {
	return nil, errors.New("the key is lost")
}

func TestUndecodableIsADeadLetter(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	logged, log := newLog()
	rp := deliver(t, repeater.Route("/", dest.url("/in")), repeater.WithCodec(brokenCodec{}), repeater.WithLogger(log))
	sendRaw(t, listen(t, rp), post("/x", "x"))
	logged.waitFor(t, "the dead letter", func(log string) bool {
		return strings.Contains(log, "dead letter") && strings.Contains(log, "the key is lost")
	})
	if lanes := settled(t, rp); len(lanes) != 1 || lanes[0].Dead != 1 {
		t.Errorf("lanes are %+v, want one dead letter", lanes)
	}
	if len(dest.got) > 0 {
		t.Errorf("forwarded %+v", <-dest.got)
	}
}
