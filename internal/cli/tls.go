package cli

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/webhook-repeater/repeater/internal/config"
)

// certificate is read again when its files have changed, so that renewing one needs no restart.
type certificate struct {
	cert, key string // files
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamps [2]stamp
	next   time.Time // look no sooner
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// lookEvery keeps handshakes from asking the file system all the time.
const lookEvery = time.Second

// tlsConfig returns nil where the settings name no certificate.
func tlsConfig(s *config.Settings, log *slog.Logger) (*tls.Config, error) {
	if s.TLSCert == "" {
		return nil, nil
	}
	c := &certificate{cert: s.TLSCert, key: s.TLSKey, log: log}
	c.stamps = c.look()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, err
	}
	c.pair = &pair
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		return c.pair, nil
	}
	c.next = now.Add(lookEvery)
	if stamps := c.look(); stamps != c.stamps {
		c.stamps = stamps
		c.reload()
	}
	return c.pair, nil
}

// reload keeps the old pair where the new one is not usable: it may be half written.
func (c *certificate) reload() {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.log.Error("the new certificate cannot be used; the old one stays", "error", err)
		return
	}
	c.pair = &pair
	c.log.Info("certificate read again")
}

func (c *certificate) look() (stamps [2]stamp) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}
