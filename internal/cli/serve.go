package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/config"
	"github.com/webhook-repeater/repeater/internal/exposition"
)

// serve runs until a signal or a failure ends it, and returns the exit status.
func serve(s *config.Settings, src source, stderr io.Writer) int {
	tuneGC()
	log, level := newLogger(s, stderr)
	ctx, hups := untilSignal(), src.hangups()

	var client redis.UniversalClient
	if o := s.Redis(); o != nil {
		redis.SetLogger(redisLog{log})
		c := redis.NewClient(o)
		defer c.Close()
		client = c
	}
	registry, metrics := exposition.New(log)
	options := func(s *config.Settings) []repeater.Option {
		opts := append(s.Options(client), repeater.WithLogger(log))
		if s.AdminListen != "" { // or nobody can collect them
			opts = append(opts, repeater.WithMetrics(registry))
		}
		return opts
	}
	rp := repeater.New(options(s)...)
	if err := rp.Err(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintln(stderr, "webhook-repeater:", line)
		}
		return exitUsage
	}
	srv, err := newServer(s, rp, log)
	if err != nil {
		fmt.Fprintln(stderr, "webhook-repeater:", err)
		return exitFailed
	}
	// A store that cannot be had is told before anybody is let in.
	if err := rp.Open(ctx); err != nil {
		if ctx.Err() != nil {
			return exitOK
		}
		fmt.Fprintln(stderr, "webhook-repeater:", explainOpen(err, s.File))
		return exitFailed
	}
	ln, err := listenDoor(s)
	if err != nil {
		_ = rp.Close() // nothing is in it yet
		fmt.Fprintln(stderr, "webhook-repeater:", err)
		return exitFailed
	}
	adm, err := listenAdmin(s, log)
	if err != nil {
		_, _ = ln.Close(), rp.Close() // nothing has come in yet
		fmt.Fprintln(stderr, "webhook-repeater:", err)
		return exitFailed
	}
	defer adm.serve(s, rp, metrics, log)()
	announce(log, s, ln.Addr())
	again := &reloader{source: src, rp: rp, options: options, log: log, level: level}
	again.settings.Store(s)
	ctx, stop := context.WithCancel(ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() { again.run(ctx, hups) })
	notify(log, nowReady) // whoever connects from now on waits until run accepts
	err = run(ctx, log, rp, srv, ln, func() time.Duration { return again.settings.Load().Grace })
	stop()
	reloading.Wait()
	if cerr := rp.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close the store: %w", cerr))
	}
	if err != nil {
		log.Error("stopped", "error", err)
		return exitFailed
	}
	log.Info("stopped")
	return exitOK
}

// untilSignal returns a context that the first SIGINT or SIGTERM ends. The
// second one ends the process: what is stored is safe at any time.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		status := exitFailed
		if n, ok := (<-signals).(syscall.Signal); ok {
			status = 128 + int(n)
		}
		os.Exit(status)
	}()
	return ctx
}

func explainOpen(err error, file string) string {
	if errors.Is(err, repeater.ErrLocked) {
		return fmt.Sprintf("the store file %s is in use by another process; stop that one, "+
			"or let both keep their requests in Redis (redis_url under [store]), which any number may share", file)
	}
	// What the system says of the file names it twice, and no way out.
	if pe, ok := errors.AsType[*fs.PathError](err); ok && (errors.Is(pe, fs.ErrNotExist) || errors.Is(pe, fs.ErrPermission)) {
		return fmt.Sprintf("the store file %s cannot be opened: %v; put it where this user may write, by file under [store]", file, pe.Err)
	}
	return err.Error()
}

func announce(log *slog.Logger, s *config.Settings, addr net.Addr) {
	if len(s.Ignored) > 0 {
		log.Warn("sections for the logging package of Python are ignored; see [log]", "sections", strings.Join(s.Ignored, ", "))
	}
	for _, n := range s.Notices {
		log.Warn(n)
	}
	store := "file"
	if s.Redis() != nil {
		store = "redis"
	}
	log.Info("listening", "address", addr.String(), "store", store, "hooks", len(s.Hooks))
}

// run serves and delivers until ctx ends or delivering fails, then stops both
// within grace.
func run(ctx context.Context, log *slog.Logger, rp *repeater.Repeater, srv *http.Server, ln net.Listener, graceNow func() time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	delivering, serving := make(chan struct{}), make(chan struct{})
	var deliverErr, serveErr error
	go func() {
		defer close(delivering)
		if deliverErr = rp.Run(ctx); deliverErr != nil {
			cancel(nil)
		}
	}()
	go func() {
		defer close(serving)
		if serveErr = listen(srv, ln); !errors.Is(serveErr, http.ErrServerClosed) {
			cancel(nil)
		} else {
			serveErr = nil
		}
	}()
	<-ctx.Done()
	grace := graceNow()
	log.Info("stopping", "grace", grace.String())
	notify(log, nowStopping)
	// Requests that come in while deliveries drain are stored for the next start.
	shutdown(srv, grace, log)
	<-serving
	<-delivering
	return errors.Join(deliverErr, serveErr)
}

// shutdown lets requests end that are being read, and cuts them off after grace.
func shutdown(srv *http.Server, grace time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Warn("requests were still coming in at the end of the grace period; their senders get no answer")
		_ = srv.Close()
	}
}

// listen serves until the server is shut down.
func listen(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// newServer bounds the headers; the Repeater bounds bodies.
func newServer(s *config.Settings, h http.Handler, log *slog.Logger) (*http.Server, error) {
	encrypted, err := tlsConfig(s, log)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Handler:           h,
		TLSConfig:         encrypted,
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    int(s.MaxHeader),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(s.H2C)
	return srv, nil
}
