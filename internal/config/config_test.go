package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

const hook = "[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n"

// plain is a hook that says no more than where its requests come in and go.
func plain(name, pattern, target string) Hook {
	return Hook{Name: name, Pattern: pattern, Target: target,
		MaxAge: 72 * time.Hour, RetryStatus: []string{"408", "425", "429", "5xx"}, Success: "2xx"}
}

// parsed returns what text says and fails the test if the options have a mistake
// that Parse has not found.
func parsed(t *testing.T, text string) *Settings {
	t.Helper()
	s, err := Parse("config.ini", text)
	if err != nil {
		t.Fatal(err)
	}
	var client redis.UniversalClient
	if o := s.Redis(); o != nil {
		c := redis.NewClient(o)
		t.Cleanup(func() { c.Close() })
		client = c
	}
	if err := repeater.New(s.Options(client)...).Err(); err != nil {
		t.Errorf("the options have mistakes: %v", err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	want := &Settings{
		Host: "0.0.0.0", Port: 8100, Grace: 10 * time.Second, MaxBody: 25 << 20, MaxHeader: 64 << 10, ReadTimeout: 30 * time.Second, AcceptMemory: 256 << 20,
		Backoff: 5 * time.Second, BackoffMax: 5 * time.Minute, PushTimeout: 5 * time.Second,
		Timeouts:     repeater.Timeouts{Dial: 5 * time.Second, TLS: 5 * time.Second, Header: 15 * time.Second, Attempt: 30 * time.Second},
		QuickRetries: 2, DeliverMemory: 256 << 20, Bound: repeater.Bound{Messages: 1_000_000, Bytes: 10 << 30}, DeadLetterAge: 720 * time.Hour,
		File: "webhook-repeater.db", DiskFloor: 256 << 20, RedisPort: 6379, RedisPrefix: "repeater:", RedisWaitTimeout: time.Second, UnknownRouteAge: time.Hour,
		AdminListen: "127.0.0.1:8101",
		LogFormat:   "auto",
		Hooks:       []Hook{plain("a", "/a", "http://127.0.0.1:1")},
	}
	got := parsed(t, hook)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if o := got.Redis(); o != nil {
		t.Errorf("a Redis at %s though none is named", o.Addr)
	}
}

// TestOldFile reads a file as the original program had it.
func TestOldFile(t *testing.T) {
	got := parsed(t, `## All values provided in this example are the defaults
[server]
host = 127.0.0.1
port = 8200
[app]
backoff_timeout = 60
backoff_max_timeout = 3600
timeout = 0.5
redis_host = redis.local
redis_port = 6380
redis_db = 2
secret = 50% # of; it
[hook:jira created]
src_path = jira/issue created
src_host = 10.0.0.1, 10.1.0.0/16,
  192.168.0.7
dst_host = http://jira.intranet:8080
dst_path =
[hook:b]
src_path: /b
src_host: 0.0.0.0/0
dst_host: http://jira.intranet:8080
dst_path: /in/put

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s][%(threadName)s] %(message)s
format = %(message)s
`)
	created, b := plain("jira created", "/jira/issue%20created", "http://jira.intranet:8080"), plain("b", "/b", "http://jira.intranet:8080/in/put")
	created.Allow, b.Allow = []string{"10.0.0.1", "10.1.0.0/16", "192.168.0.7"}, []string{"0.0.0.0/0"}
	created.Secret, b.Secret = "50% # of; it", "50% # of; it"
	want := Defaults()
	want.Host, want.Port = "127.0.0.1", 8200
	want.Backoff, want.BackoffMax, want.Pace = time.Minute, time.Hour, 500*time.Millisecond
	want.RedisHost, want.RedisPort, want.RedisDB = "redis.local", 6380, 2
	want.Hooks = []Hook{created, b}
	want.Ignored = []string{"loggers", "handlers", "formatters", "logger_root", "handler_console", "formatter_generic"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if o := got.Redis(); o == nil || o.Addr != "redis.local:6380" || o.DB != 2 {
		t.Errorf("Redis options %+v", o)
	}
}

func TestNewKeys(t *testing.T) {
	got := parsed(t, `
[server]
host = [::1]
grace = 1m
max_body = 64KiB
max_header = 8KB
read_timeout = 1m
trusted_proxies = 127.0.0.1, fd00::/8
h2c = yes
accept_memory = 2MB
[app]
backoff_timeout = 10m
push_timeout = 250ms
dial_timeout = 1
tls_timeout = 2s
header_timeout = 3
attempt_timeout = 4
quick_retries = 0
allow_to = 169.254.10.0/24
deliver_memory = 64MB
lane_max_messages = 10
lane_max_bytes = 1MB
dead_letter_age = 1h
[store]
redis_url = rediss://user:p%40ss@redis.local:7000/3
redis_prefix = hooks:
unknown_route_age = 90
encrypt = MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
  plain
[log]
level = WARN
format = JSON
`+hook)
	want := Defaults()
	want.Host, want.Grace = "::1", time.Minute
	want.MaxHeader, want.ReadTimeout, want.TrustedProxies = 8<<10, time.Minute, []string{"127.0.0.1", "fd00::/8"}
	want.MaxBody, want.AcceptMemory, want.DeliverMemory = 64<<10, 2<<20, 64<<20
	want.Backoff, want.BackoffMax, want.PushTimeout = 10*time.Minute, 10*time.Minute, 250*time.Millisecond
	want.Timeouts = repeater.Timeouts{Dial: time.Second, TLS: 2 * time.Second, Header: 3 * time.Second, Attempt: 4 * time.Second}
	want.QuickRetries, want.Bound, want.DeadLetterAge = 0, repeater.Bound{Messages: 10, Bytes: 1 << 20}, time.Hour
	want.RedisURL, want.RedisPrefix, want.UnknownRouteAge = "rediss://user:p%40ss@redis.local:7000/3", "hooks:", 90*time.Second
	want.H2C, want.AllowTo = true, []string{"169.254.10.0/24"}
	want.Encrypt = []string{key, "plain"}
	want.LogLevel, want.LogFormat = slog.LevelWarn, "json"
	want.Hooks = []Hook{plain("a", "/a", "http://127.0.0.1:1")}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if o := got.Redis(); o == nil || o.Addr != "redis.local:7000" || o.Password != "p@ss" || o.DB != 3 || o.TLSConfig == nil {
		t.Error("Redis options are not those of the URL")
	}
	if got.Addr() != "[::1]:8100" {
		t.Errorf("Addr() = %s", got.Addr())
	}
}

// key is 32 bytes in base64.
const key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// TestEachHook: what may stand in a hook and in [app] holds, in [app], for every hook
// without its own, also for those above.
func TestEachHook(t *testing.T) {
	dir := t.TempDir()
	cert, certKey := writePair(t, dir, "a")
	other, otherKey := filepath.Join(dir, "b.crt"), filepath.Join(dir, "b.key")
	for from, to := range map[string]string{cert: other, certKey: otherKey} {
		if err := os.Link(from, to); err != nil {
			t.Fatal(err)
		}
	}
	values := map[string][2]string{
		"secret":       {"50% # of; it", "other"},
		"concurrency":  {"4", "1"},
		"order_by":     {"header:X-Issue-Key", "json:/issue/key"},
		"strict":       {"yes", "on"},
		"lane":         {"bulk", "slow"},
		"max_age":      {"1h", "30"},
		"max_attempts": {"10", "1"},
		"retry_status": {"404, 5XX", "none"},
		"success":      {"any", "ANY"},
		"dedupe":       {"X-GitHub-Delivery", "Idempotency-Key"},
		"pass_through": {"2s", "0.5"},
		"keep_host":    {"yes", "true"},

		"sign_secret":   {"whsec_" + key, key + "\n  whsec_" + key},
		"handshake":     {"slack", "graph"},
		"verify":        {"github", "Slack"},
		"verify_secret": {"one\n  two", "three"},

		"handshake_secret": {"one\n  two", "three"},

		"dst_tls_ca":       {cert, other},
		"dst_tls_cert":     {cert, other},
		"dst_tls_key":      {certKey, otherKey},
		"dst_tls_insecure": {"yes", "on"},
		"dst_h2c":          {"yes", "on"},
	}
	needs := map[string]string{"verify": "verify_secret = s\n", "verify_secret": "verify = github\n", "handshake_secret": "handshake = meta\n",
		"dst_tls_cert": "dst_tls_key = " + certKey + "\n", "dst_tls_key": "dst_tls_cert = " + cert + "\n"}
	for _, k := range eachHook {
		v, ok := values[k.Name]
		if !ok {
			t.Errorf("%s: no values to try", k.Name)
			continue
		}
		a := "[hook:a]\nsrc_path = /a\ndst_host = http://a\n" + needs[k.Name]
		b := "[hook:b]\nsrc_path = /b\ndst_host = http://b\n" + needs[k.Name]
		first, second := k.Name+" = "+v[0]+"\n", k.Name+" = "+v[1]+"\n"
		got := parsed(t, a+b+second+"[app]\n"+first)
		want := parsed(t, a+first+b+second)
		if diff := cmp.Diff(want.Hooks, got.Hooks, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
			t.Errorf("%s: -in the hook +in [app]:\n%s", k.Name, diff)
		}
		unsaid := parsed(t, strings.ReplaceAll(a+b, needs[k.Name], ""))
		for i := range unsaid.Hooks {
			if cmp.Equal(unsaid.Hooks[i], got.Hooks[i], cmpopts.IgnoreUnexported(Hook{})) {
				t.Errorf("%s = %s changes nothing", k.Name, v[i])
			}
		}
	}
}

// TestBackoff: a default gives way to the half of the pair that the file states.
func TestBackoff(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"":                          {5 * time.Second, 5 * time.Minute},
		"backoff_timeout = 1h\n":    {time.Hour, time.Hour},
		"backoff_max_timeout = 2\n": {2 * time.Second, 2 * time.Second},
		"backoff_timeout = 1\nbackoff_max_timeout = 2\n": {time.Second, 2 * time.Second},
	} {
		s := parsed(t, "[app]\n"+text+hook)
		if got := [2]time.Duration{s.Backoff, s.BackoffMax}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestMemory: the default has room for one request, however large they may be.
func TestMemory(t *testing.T) {
	s := parsed(t, "[server]\nmax_body = 1GB\n"+hook)
	if s.AcceptMemory <= 1<<30 || s.DeliverMemory <= 1<<30 {
		t.Errorf("%d and %d bytes have no room for a body of 1 GB", s.AcceptMemory, s.DeliverMemory)
	}
}

// TestNotices: lines that old files have, and that do nothing, are told of and no more.
func TestNotices(t *testing.T) {
	got := parsed(t, "[app]\nredis_port = 6379\nredis_db = 0\n"+hook)
	want := []string{
		`config.ini:2: [app] redis_port has no effect without redis_host; add "redis_host = localhost" to use Redis`,
		`config.ini:3: [app] redis_db has no effect without redis_host; add "redis_host = localhost" to use Redis`,
	}
	if diff := cmp.Diff(want, got.Notices); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Redis() != nil {
		t.Error("a Redis is used though none is named")
	}
}

func TestNoHook(t *testing.T) {
	_, err := Parse("config.ini", "[app]\ntimeout = 1\n")
	const want = "config.ini: there is no hook; add a section [hook:NAME] with src_path and dst_host"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoFile(t *testing.T) {
	_, err := Load("/nonexistent/config.ini")
	const want = "/nonexistent/config.ini: no such file or directory; name a file to read with --config"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "0.5": 500 * time.Millisecond, ".25": 250 * time.Millisecond, "3600": time.Hour,
		"90s": 90 * time.Second, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"0.1": 100 * time.Millisecond, "5.": 5 * time.Second,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "5 s", "1e3", "0x10", "inf", "nan", "1d", "5,0", "--5", "-0.1", "9223372036854775807"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
}

// TestNetworks: commas and lines of their own both part them.
func TestNetworks(t *testing.T) {
	want := []string{"10.1.2.3", "10.8.0.0/16", "::1"}
	for _, text := range []string{
		"10.1.2.3, 10.8.0.0/16,::1",
		"10.1.2.3\n  10.8.0.0/16\n  ::1",
		"10.1.2.3,\n  10.8.0.0/16 , ::1",
		"\n  10.1.2.3\n  10.8.0.0/16, ::1",
	} {
		got := parsed(t, "[server]\ntrusted_proxies = "+text+"\n"+hook)
		if diff := cmp.Diff(want, got.TrustedProxies); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "100b": 100, "64KB": 64 << 10, "64KiB": 64 << 10, "64k": 64 << 10, "25MB": 25 << 20,
		"25 mib": 25 << 20, "25M": 25 << 20, "2GB": 2 << 30, "1GiB": 1 << 30,
	} {
		f := fields{Settings: new(Settings)}
		k := size(func(f *fields) *int64 { return &f.MaxBody })
		if err := k.set(&f, text); err != nil || f.MaxBody != want {
			t.Errorf("%s: %d, %v, want %d", text, f.MaxBody, err, want)
		}
	}
}

func TestTarget(t *testing.T) {
	for _, tt := range []struct{ host, path, want string }{
		{"http://h", "", "http://h"},
		{"http://h/", "", "http://h/"},
		{"http://h:8080", "/in", "http://h:8080/in"},
		{"http://h/", "/in/", "http://h/in/"},
		{"http://h/base", "in", "http://h/base/in"},
		{"https://u:p@h", "/in?token=x", "https://u:p@h/in?token=x"},
		{"http://h", "?token=x", "http://h?token=x"},
		{"http://[::1]:80", "/a b#c", "http://[::1]:80/a b#c"},
	} {
		s := parsed(t, "[hook:a]\nsrc_path = /a\ndst_host = "+tt.host+"\ndst_path = "+tt.path+"\n")
		if got := s.Hooks[0].Target; got != tt.want {
			t.Errorf("%s and %s make %s, want %s", tt.host, tt.path, got, tt.want)
		}
	}
}

func TestForTarget(t *testing.T) {
	s, err := ForTarget("http://127.0.0.1:8989")
	if err != nil {
		t.Fatal(err)
	}
	want := []Hook{plain("all", "/", "http://127.0.0.1:8989")}
	if diff := cmp.Diff(want, s.Hooks, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := repeater.New(s.Options(nil)...).Err(); err != nil {
		t.Error(err)
	}
	if _, err := ForTarget("127.0.0.1:8989"); err == nil {
		t.Error("a target without a scheme is accepted")
	}
}

func TestClosest(t *testing.T) {
	words := []string{"backoff_timeout", "port", "host"}
	for s, want := range map[string]string{
		"backof_timeout": "backoff_timeout", "backoff_timoeut": "backoff_timeout", "prt": "port", "hots": "host",
		"xyz": "", "": "", "timeout": "",
	} {
		if got := closest(s, words); got != want {
			t.Errorf("closest(%q) = %q, want %q", s, got, want)
		}
	}
}
