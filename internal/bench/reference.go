package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"
)

// ReferenceCommand is the word behind "bench" with which the program starts itself as a
// reference; nobody else needs it.
const ReferenceCommand = "reference"

// Reference serves what the repeater is measured against: args are "bare" for a handler that reads
// the body and answers 200, or "proxy" for an httputil.ReverseProxy, then the destination's URL
// and the number of connections to keep to it. It ends with stdin.
func Reference(args []string, stdin io.Reader, stderr io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("%s takes a kind, a URL and a number", ReferenceCommand)
	}
	target, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	connections, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	var h http.Handler
	switch args[0] {
	case "bare":
		h = http.HandlerFunc(bare)
	case "proxy":
		h = &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true},
		}
	default:
		return fmt.Errorf("no reference %q", args[0])
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "{\"msg\":\"listening\",\"address\":%q}\n", ln.Addr())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = srv.Close()
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func bare(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}
