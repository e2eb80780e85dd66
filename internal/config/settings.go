package config

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// Settings is what a file says, with defaults for what it does not say.
type Settings struct {
	Host           string
	Port           int
	Grace          time.Duration
	MaxBody        int64
	MaxHeader      int64
	ReadTimeout    time.Duration
	TrustedProxies []string
	TLSCert        string // file
	TLSKey         string
	H2C            bool
	AcceptMemory   int64

	Backoff       time.Duration
	BackoffMax    time.Duration
	Pace          time.Duration
	PushTimeout   time.Duration
	Timeouts      repeater.Timeouts
	AllowTo       []string
	QuickRetries  int
	DeliverMemory int64
	Bound         repeater.Bound
	DeadLetterAge time.Duration

	File            string
	DiskFloor       int64
	RedisHost       string
	RedisPort       int
	RedisDB         int
	RedisURL        string
	RedisPrefix     string
	UnknownRouteAge time.Duration

	RedisStrict      bool
	RedisWait        int
	RedisWaitTimeout time.Duration
	Encrypt          []string

	AdminListen   string // "" for none
	AdminExplicit bool   // the file says so, and it is not just the default
	AdminToken    string
	ShowPayloads  bool
	AllowBackup   bool

	LogLevel  slog.Level
	LogFormat string

	Hooks   []Hook
	Ignored []string // sections for the logging package of Python
	Notices []string // what the file says without effect
}

// Defaults returns what holds for an empty file.
func Defaults() *Settings { return defaults().Settings }

// defaults also has what holds for a hook.
func defaults() fields {
	f := fields{Settings: new(Settings), hook: new(Hook)}
	for _, s := range Sections {
		for _, k := range s.Keys {
			if k.Default == "" || k.ofLane {
				continue
			}
			if err := k.set(&f, k.Default); err != nil {
				panic(fmt.Sprintf("default of [%s] %s: %v", s.Name, k.Name, err))
			}
		}
	}
	return f
}

// ForTarget returns settings that forward every request to one destination.
func ForTarget(target string) (*Settings, error) {
	if err := checkTarget(target); err != nil {
		return nil, err
	}
	f := defaults()
	f.hook.Name, f.hook.Pattern, f.hook.Target = "all", "/", target
	f.Hooks = []Hook{*f.hook}
	return f.Settings, nil
}

// Addr is where to listen.
func (s *Settings) Addr() string {
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Redis says how to reach the Redis that the settings name, or returns nil if
// they name none.
func (s *Settings) Redis() *redis.Options {
	o := &redis.Options{
		Addr: net.JoinHostPort(s.RedisHost, strconv.Itoa(s.RedisPort)),
		DB:   s.RedisDB,
	}
	switch {
	case s.RedisURL != "":
		var err error
		if o, err = redis.ParseURL(s.RedisURL); err != nil {
			return nil // Parse has tried it
		}
	case s.RedisHost == "":
		return nil
	}
	// Without it, push_timeout would not end a command.
	o.ContextTimeoutEnabled = true
	return o
}

// Options returns what the settings say. The client is one for Redis(), or nil
// where that is nil.
func (s *Settings) Options(client redis.UniversalClient) []repeater.Option {
	opts := []repeater.Option{
		repeater.WithBackoff(s.Backoff, s.BackoffMax),
		repeater.WithDrain(s.Grace),
		repeater.WithPushTimeout(s.PushTimeout),
		repeater.WithMaxBody(s.MaxBody),
		repeater.WithMaxHeader(s.MaxHeader),
		repeater.WithReadTimeout(s.ReadTimeout),
		repeater.WithUnknownRouteAge(s.UnknownRouteAge),
		repeater.WithTimeouts(s.Timeouts),
		repeater.WithQuickRetries(s.QuickRetries),
		repeater.WithMemory(s.AcceptMemory, s.DeliverMemory),
		repeater.WithLaneBound(s.Bound),
		repeater.WithDeadLetterAge(s.DeadLetterAge),
	}
	if client != nil {
		opts = append(opts, repeater.WithRedis(client), repeater.WithRedisPrefix(s.RedisPrefix),
			repeater.RedisWait(s.RedisWait, s.RedisWaitTimeout))
		if s.RedisStrict {
			opts = append(opts, repeater.WithRedisStrict())
		}
	} else {
		opts = append(opts, repeater.WithFile(s.File), repeater.WithDiskFloor(s.DiskFloor))
	}
	if len(s.AllowTo) > 0 {
		opts = append(opts, repeater.AllowTo(s.AllowTo...))
	}
	if len(s.Encrypt) > 0 {
		opts = append(opts, repeater.Encrypt(s.Encrypt...))
	}
	if len(s.TrustedProxies) > 0 {
		opts = append(opts, repeater.TrustProxies(s.TrustedProxies...))
	}
	for _, h := range s.Hooks {
		opts = append(opts, repeater.Route(h.Pattern, h.Target, h.options(s.Pace)...))
	}
	return opts
}
