package demo

import (
	"context"
	"net"
	"net/http"
	"time"
)

func listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// serve serves until the demo tidies up.
func (d *demo) serve(ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // ends by Close, below
	}()
	d.stop = append(d.stop, func() error {
		err := srv.Close()
		<-done
		return err
	})
}

// deliver runs the Repeater until the demo tidies up.
func (d *demo) deliver() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.rp.Run(ctx) }()
	d.stop = append(d.stop, func() error {
		cancel()
		return <-done
	})
}
