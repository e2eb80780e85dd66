package config

import (
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"slices"
)

// Change is how a file differs from what it said before.
type Change struct {
	Added, Removed, Changed []string // hooks, by name
	Others                  bool     // settings of all hooks
	Restart                 []string // settings that only a restart changes, as "[section] key"
}

// Nothing tells that the file says what it said before.
func (c Change) Nothing() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Restart) == 0 && !c.Others
}

// Succeed tells what s changes of old, and takes over from old what only a restart changes.
func (s *Settings) Succeed(old *Settings) Change {
	var c Change
	for _, f := range fixed {
		now, before := reflect.ValueOf(f.of(s)).Elem(), reflect.ValueOf(f.of(old)).Elem()
		if !reflect.DeepEqual(now.Interface(), before.Interface()) {
			c.Restart = append(c.Restart, f.key)
			now.Set(before)
		}
	}
	c.compareHooks(s.Hooks, old.Hooks)
	c.Others = !reflect.DeepEqual(s.common(), old.common())
	return c
}

type fixedKey struct {
	key string
	of  func(*Settings) any
}

// fixed is what a running process cannot change.
var fixed = []fixedKey{
	{"[server] host", func(s *Settings) any { return &s.Host }},
	{"[server] port", func(s *Settings) any { return &s.Port }},
	{"[server] max_header", func(s *Settings) any { return &s.MaxHeader }}, // net/http has its own bound
	{"[server] tls_cert", func(s *Settings) any { return &s.TLSCert }},
	{"[server] tls_key", func(s *Settings) any { return &s.TLSKey }},
	{"[server] h2c", func(s *Settings) any { return &s.H2C }},
	{"[app] redis_host", func(s *Settings) any { return &s.RedisHost }},
	{"[app] redis_port", func(s *Settings) any { return &s.RedisPort }},
	{"[app] redis_db", func(s *Settings) any { return &s.RedisDB }},
	{"[store] file", func(s *Settings) any { return &s.File }},
	{"[store] disk_floor", func(s *Settings) any { return &s.DiskFloor }},
	{"[store] redis_url", func(s *Settings) any { return &s.RedisURL }},
	{"[store] redis_prefix", func(s *Settings) any { return &s.RedisPrefix }},
	{"[store] redis_strict", func(s *Settings) any { return &s.RedisStrict }},
	{"[store] redis_wait", func(s *Settings) any { return &s.RedisWait }},
	{"[store] redis_wait_timeout", func(s *Settings) any { return &s.RedisWaitTimeout }},
	{"[admin] listen", func(s *Settings) any { return &s.AdminListen }},
	{"[admin] token", func(s *Settings) any { return &s.AdminToken }},
	{"[admin] show_payloads", func(s *Settings) any { return &s.ShowPayloads }},
	{"[admin] allow_backup", func(s *Settings) any { return &s.AllowBackup }},
	{"[log] format", func(s *Settings) any { return &s.LogFormat }},
}

func (c *Change) compareHooks(now, before []Hook) {
	find := func(hooks []Hook, name string) int {
		return slices.IndexFunc(hooks, func(h Hook) bool { return h.Name == name })
	}
	for i := range now {
		switch j := find(before, now[i].Name); {
		case j < 0:
			c.Added = append(c.Added, now[i].Name)
		case !now[i].same(&before[j]):
			c.Changed = append(c.Changed, now[i].Name)
		}
	}
	for i := range before {
		if find(now, before[i].Name) < 0 {
			c.Removed = append(c.Removed, before[i].Name)
		}
	}
}

// same compares what hooks say, wherever in a file it stands.
func (h *Hook) same(other *Hook) bool {
	a, b := *h, *other
	for _, x := range []*Hook{&a, &b} {
		x.tls, x.line, x.pathLine = nil, 0, 0
	}
	return reflect.DeepEqual(a, b) && sameTLS(h.tls, other.tls)
}

// sameTLS looks at what has been read from files, too.
func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return samePool(a.RootCAs, b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, func(a, b tls.Certificate) bool {
		return reflect.DeepEqual(a.Certificate, b.Certificate)
	})
}

func samePool(a, b *x509.CertPool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b)
}

// common is what does not belong to one hook.
func (s *Settings) common() Settings {
	c := *s
	c.Hooks, c.Ignored, c.Notices, c.AdminExplicit = nil, nil, nil, false
	return c
}
