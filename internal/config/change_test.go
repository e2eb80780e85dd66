package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/config"
)

// TestChange: what a new file changes is told by the names of hooks and keys, and what only a restart
// changes stays.
func TestChange(t *testing.T) {
	t.Parallel()
	const a, b = "[hook:a]\nsrc_path = /a\ndst_host = http://a\n", "[hook:b]\nsrc_path = /b\ndst_host = http://b\n"
	for name, tt := range map[string]struct {
		old, new string
		want     config.Change
	}{
		"nothing":                 {a + b, a + b, config.Change{}},
		"comments and order":      {a + b, "# new\n\n" + b + a, config.Change{}},
		"added and removed":       {a, b, config.Change{Added: []string{"b"}, Removed: []string{"a"}}},
		"a key of a hook":         {a + b, a + "max_age = 1h\n" + b, config.Change{Changed: []string{"a"}}},
		"a key of all hooks":      {a + b, "[app]\nmax_age = 1h\n" + a + b, config.Change{Changed: []string{"a", "b"}}},
		"a common key":            {a, "[app]\nbackoff_timeout = 1s\n" + a, config.Change{Others: true}},
		"the level":               {a, "[log]\nlevel = debug\n" + a, config.Change{Others: true}},
		"a key for a restart":     {a, "[server]\nport = 1\n" + a, config.Change{Restart: []string{"[server] port"}}},
		"where admin is":          {a, "[admin]\nlisten = 127.0.0.1:1\n" + a, config.Change{Restart: []string{"[admin] listen"}}},
		"another store":           {a, "[store]\nredis_url = redis://x/1\n" + a, config.Change{Restart: []string{"[store] redis_url"}}},
		"insecure":                {a, a + "dst_tls_insecure = yes\n", config.Change{Changed: []string{"a"}}},
		"still insecure":          {a + "dst_tls_insecure = yes\n", a + "dst_tls_insecure = yes\n", config.Change{}},
		"a restart and a removal": {a + b, "[log]\nformat = text\n" + b, config.Change{Removed: []string{"a"}, Restart: []string{"[log] format"}}},
	} {
		old, now := mustParse(t, tt.old), mustParse(t, tt.new)
		port, url := old.Port, old.RedisURL
		if diff := cmp.Diff(tt.want, now.Succeed(old)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if now.Port != port || now.RedisURL != url {
			t.Errorf("%s: port %d and Redis %q, want the old ones", name, now.Port, now.RedisURL)
		}
	}
}

func mustParse(t *testing.T, text string) *config.Settings {
	t.Helper()
	s, err := config.Parse("config.ini", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
