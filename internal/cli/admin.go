package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/config"
)

// adminDoor is where whoever looks after the program comes in.
type adminDoor struct{ ln net.Listener } // nil: there is none

// listenAdmin goes without a listener where only the default address is taken: the next program on this
// machine should start as it always did.
func listenAdmin(s *config.Settings, log *slog.Logger) (adminDoor, error) {
	if s.AdminListen == "" {
		return adminDoor{}, nil
	}
	ln, err := listenOn(s.AdminListen)
	switch {
	case err != nil && s.AdminExplicit:
		return adminDoor{}, fmt.Errorf("%w; choose another with listen under [admin]", err)
	case err != nil:
		log.Warn("there are no admin pages, as their address is taken; choose another with listen under [admin]", "error", err)
		return adminDoor{}, nil
	}
	return adminDoor{ln}, nil
}

// serve serves until what it returns is called. Whoever looks may go on looking while deliveries are
// finished, but is not waited for.
func (d adminDoor) serve(s *config.Settings, rp *repeater.Repeater, metrics http.Handler, log *slog.Logger) (stop func()) {
	if d.ln == nil {
		return func() {}
	}
	srv := &http.Server{
		Handler:           rp.Admin(append(adminOptions(s), repeater.AdminMetrics(metrics))...),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("admin pages", "url", "http://"+d.ln.Addr().String()+"/", "token", s.AdminToken != "")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(d.ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin pages have ended", "error", err)
		}
	}()
	return func() {
		_ = srv.Close()
		<-ended
	}
}

func adminOptions(s *config.Settings) []repeater.AdminOption {
	var opts []repeater.AdminOption
	if s.AdminToken != "" {
		opts = append(opts, repeater.AdminToken(s.AdminToken))
	}
	if s.ShowPayloads {
		opts = append(opts, repeater.ShowPayloads())
	}
	if s.AllowBackup {
		opts = append(opts, repeater.AllowBackup())
	}
	return opts
}
