package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

const hook = "[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n"

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
		Host: "0.0.0.0", Port: 8100, Grace: 10 * time.Second, MaxBody: 25 << 20,
		Backoff: 5 * time.Second, BackoffMax: 5 * time.Minute, PushTimeout: 5 * time.Second,
		File: "webhook-repeater.db", RedisPort: 6379, RedisPrefix: "repeater:", UnknownRouteAge: time.Hour,
		LogFormat: "auto",
		Hooks:     []Hook{{Name: "a", Pattern: "/a", Target: "http://127.0.0.1:1"}},
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
	want := &Settings{
		Host: "127.0.0.1", Port: 8200, Grace: 10 * time.Second, MaxBody: 25 << 20,
		Backoff: time.Minute, BackoffMax: time.Hour, Pace: 500 * time.Millisecond, PushTimeout: 5 * time.Second,
		File: "webhook-repeater.db", RedisHost: "redis.local", RedisPort: 6380, RedisDB: 2, RedisPrefix: "repeater:",
		UnknownRouteAge: time.Hour,
		LogFormat:       "auto",
		Hooks: []Hook{
			{Name: "jira created", Pattern: "/jira/issue%20created", Target: "http://jira.intranet:8080",
				Allow: []string{"10.0.0.1", "10.1.0.0/16", "192.168.0.7"}, Secret: "50% # of; it"},
			{Name: "b", Pattern: "/b", Target: "http://jira.intranet:8080/in/put", Allow: []string{"0.0.0.0/0"}, Secret: "50% # of; it"},
		},
		Ignored: []string{"loggers", "handlers", "formatters", "logger_root", "handler_console", "formatter_generic"},
	}
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
[app]
backoff_timeout = 10m
push_timeout = 250ms
[store]
redis_url = rediss://user:p%40ss@redis.local:7000/3
redis_prefix = hooks:
unknown_route_age = 90
[log]
level = WARN
format = JSON
`+hook)
	want := &Settings{
		Host: "::1", Port: 8100, Grace: time.Minute, MaxBody: 64 << 10,
		Backoff: 10 * time.Minute, BackoffMax: 10 * time.Minute, PushTimeout: 250 * time.Millisecond,
		File: "webhook-repeater.db", RedisPort: 6379, RedisPrefix: "hooks:", UnknownRouteAge: 90 * time.Second,
		RedisURL: "rediss://user:p%40ss@redis.local:7000/3",
		LogLevel: slog.LevelWarn, LogFormat: "json",
		Hooks: []Hook{{Name: "a", Pattern: "/a", Target: "http://127.0.0.1:1"}},
	}
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

// TestEachHook: what may stand in a hook and in [app] holds, in [app], for every hook
// without its own, also for those above.
func TestEachHook(t *testing.T) {
	values := map[string][2]string{
		"secret": {"50% # of; it", "other"},
	}
	const a = "[hook:a]\nsrc_path = /a\ndst_host = http://a\n"
	const b = "[hook:b]\nsrc_path = /b\ndst_host = http://b\n"
	for _, k := range eachHook {
		v, ok := values[k.Name]
		if !ok {
			t.Errorf("%s: no values to try", k.Name)
			continue
		}
		first, second := k.Name+" = "+v[0]+"\n", k.Name+" = "+v[1]+"\n"
		got := parsed(t, a+b+second+"[app]\n"+first)
		want := parsed(t, a+first+b+second)
		if diff := cmp.Diff(want.Hooks, got.Hooks, cmpopts.IgnoreUnexported(Hook{})); diff != "" {
			t.Errorf("%s: -in the hook +in [app]:\n%s", k.Name, diff)
		}
		unsaid := parsed(t, a+b)
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

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // without the hook that follows the text
	}{
		{"unknown key", "[app]\nbackof_timeout = 1\n",
			`config.ini:2: [app] unknown key "backof_timeout"; did you mean "backoff_timeout"?`},
		{"unknown key of a hook", "[hook:b]\nsrc_path = /b\ndst_hots = http://h\ndst_host = http://h\n",
			`config.ini:3: [hook:b] unknown key "dst_hots"; did you mean "dst_host"?`},
		{"unknown key, no neighbour", "[log]\nverbosity = 1\n",
			`config.ini:2: [log] unknown key "verbosity"; the keys here are level, format`},
		{"key of another section", "[server]\nredis_host = x\n",
			`config.ini:2: [server] unknown key "redis_host"; it belongs under [app]`},
		{"unknown section", "[ap]\n",
			`config.ini:1: unknown section [ap]; did you mean [app]?`},
		{"unknown section, no neighbour", "[database]\n",
			`config.ini:1: unknown section [database]; the sections are [server], [app], [store], [log] and [hook:NAME]`},
		{"unknown kind of hook", "[hooks:jira]\n",
			`config.ini:1: unknown section [hooks:jira]; did you mean [hook:jira]?`},
		{"hook without colon", "[hook]\n",
			`config.ini:1: unknown section [hook]; did you mean [hook:NAME]?`},
		{"not INI", "[app]\nhunter2\n",
			`config.ini:2: the line is neither a section nor a key; write "key = value"`},
		{"repeated key", "[app]\ntimeout = 1\ntimeout = 2\n",
			`config.ini:3: [app] key "timeout" again; it stands on line 2, keep one`},
		{"repeated section", "[app]\ntimeout = 1\n[app]\ntimeout = x\n",
			"config.ini:3: section [app] again; it begins on line 1, put its keys there\n" +
				`config.ini:4: [app] timeout "x" is not a duration; write seconds, as "5" or "0.5", or a unit, as "500ms", "90s", "5m" or "1h"`},
		{"continuation", "[server]\nhost = ::1\n  port = 80\n",
			`config.ini:3: [server] the indented line continues the value of host; begin a key at the beginning of its line`},
		{"empty value", "[app]\nsecret =\n",
			`config.ini:2: [app] secret is empty; give it a value or delete the line`},

		{"port", "[server]\nport = 80x\n",
			`config.ini:2: [server] port "80x" is not possible; write a number from 0 to 65535`},
		{"port out of range", "[server]\nport = 65536\n",
			`config.ini:2: [server] port "65536" is not possible; write a number from 0 to 65535`},
		{"host with port", "[server]\nhost = localhost:80\n",
			`config.ini:2: [server] host "localhost:80" is not a host; write an address or a name, without scheme and port`},
		{"size", "[server]\nmax_body = 25XB\n",
			`config.ini:2: [server] max_body "25XB" is not a size; write bytes, or a unit, as "64KB", "25MB" or "1GB"`},
		{"size of nothing", "[server]\nmax_body = 0\n",
			`config.ini:2: [server] max_body "0" is nothing at all; write more than 0`},
		{"size too large", "[server]\nmax_body = 9999999999GB\n",
			`config.ini:2: [server] max_body "9999999999GB" is too large; write a smaller size`},
		{"negative duration", "[app]\ntimeout = -5s\n",
			`config.ini:2: [app] timeout "-5s" is negative; write 0 or more`},
		{"endless duration", "[app]\ntimeout = 99999999999999\n",
			`config.ini:2: [app] timeout "99999999999999" is too long; write a shorter duration`},
		{"no duration", "[app]\nbackoff_timeout = 0\n",
			`config.ini:2: [app] backoff_timeout "0" is no time at all; write more than 0`},
		{"level", "[log]\nlevel = warning\n",
			`config.ini:2: [log] level "warning" is not known; write one of debug, info, warn, error`},
		{"format", "[log]\nformat = jsn\n",
			`config.ini:2: [log] format "jsn" is not known; did you mean "json"?`},
		{"a long value on one line", "[log]\nformat = " + strings.Repeat("x", 70) + "\n",
			`config.ini:2: [log] format "` + strings.Repeat("x", 60) + `..." is not known; write one of auto, text, json`},

		{"backoff", "[app]\nbackoff_timeout = 60\nbackoff_max_timeout = 30\n",
			`config.ini:3: [app] backoff_max_timeout 30s is shorter than backoff_timeout 1m0s; make it at least as long`},
		{"two stores", "[store]\nfile = x.db\nredis_url = redis://h\n",
			`config.ini:3: file under [store] and a Redis (lines 2 and 3) are two stores; keep one`},
		{"two kinds of store", "[app]\nredis_host = h\n[store]\nfile = x.db\n",
			`config.ini:4: file under [store] and a Redis (lines 4 and 2) are two stores; keep one`},
		{"two Redises", "[app]\nredis_host = h\n[store]\nredis_url = redis://h\n",
			`config.ini:4: redis_host under [app] and redis_url under [store] (lines 2 and 4) name two stores; keep one`},
		{"redis_db with redis_url", "[app]\nredis_db = 1\n[store]\nredis_url = redis://h\n",
			`config.ini:2: [app] redis_db has no effect without redis_host; write it into redis_url under [store]`},
		{"redis_prefix alone", "[store]\nredis_prefix = x\n",
			`config.ini:2: [store] redis_prefix has no effect without Redis; add redis_url to use Redis, or delete the line`},
		{"redis_prefix", "[store]\nredis_url = redis://h\nredis_prefix = {x}\n",
			`config.ini:3: [store] redis_prefix "{x}" has braces, which Redis Cluster takes for a hash tag; choose other characters`},
		{"redis_url", "[store]\nredis_url = redis://u:hunter2/@h\n",
			`config.ini:2: [store] redis_url is not a Redis URL; write redis://[USER:PASSWORD@]HOST:PORT/DB, with special characters percent-encoded`},

		{"hook without keys", "[hook:b]\n",
			"config.ini:1: [hook:b] has no src_path; write a path, \"/\" for the root\n" +
				`config.ini:1: [hook:b] has no dst_host; write where requests go, as http://HOST:PORT`},
		{"hook with empty keys", "[hook:b]\nsrc_path =\nsrc_host =\ndst_host =\n",
			"config.ini:2: [hook:b] src_path is empty; write a path, \"/\" for the root\n" +
				"config.ini:3: [hook:b] src_host is empty; give it a value or delete the line\n" +
				`config.ini:4: [hook:b] dst_host is empty; write where requests go, as http://HOST:PORT`},
		{"hook without a name", "[hook: ]\nsrc_path = /b\ndst_host = http://h\n",
			`config.ini:1: [hook:] a hook's name has 1 to 255 bytes; write [hook:NAME]`},
		{"hooks of one path", "[hook:b]\nsrc_path = /b\ndst_host = http://h\n[hook:c]\ndst_host = http://h\nsrc_path = b\n",
			`config.ini:6: [hook:c] src_path is that of [hook:b] on line 2; each hook needs its own`},
		{"hooks of one name", "[hook:b]\nsrc_path = /b\ndst_host = http://h\n[hook: b]\nsrc_path = /c\ndst_host = http://h\n",
			`config.ini:4: [hook:b] has the name of the hook on line 1; choose another`},
		{"unclean path", "[hook:b]\nsrc_path = /b//c\ndst_host = http://h\n[hook:c]\nsrc_path = /../c\ndst_host = http://h\n",
			"config.ini:2: [hook:b] src_path \"/b//c\" has an empty, \".\" or \"..\" segment, and such requests are refused; write a path without\n" +
				`config.ini:5: [hook:c] src_path "/../c" has an empty, "." or ".." segment, and such requests are refused; write a path without`},
		{"sender", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nsrc_host = 10.0.0.1, jira.local\n",
			`config.ini:4: [hook:b] src_host names "jira.local", which is neither an address nor a network; write 10.1.2.3 or 10.0.0.0/8`},
		{"sender and a comma", "[hook:b]\nsrc_path = /b\ndst_host = http://h\nsrc_host = 10.0.0.1,\n",
			`config.ini:4: [hook:b] src_host has a comma with nothing next to it; delete the comma`},
		{"no scheme", "[hook:b]\nsrc_path = /b\ndst_host = jira.local:8080\n",
			`config.ini:3: [hook:b] dst_host has no scheme; write http:// or https:// in front of the host`},
		{"other scheme", "[hook:b]\nsrc_path = /b\ndst_host = ftp://user:hunter2@h\n",
			`config.ini:3: [hook:b] dst_host has the scheme "ftp"; write http:// or https://`},
		{"no host", "[hook:b]\nsrc_path = /b\ndst_host = http://:80\n",
			`config.ini:3: [hook:b] dst_host has no host; write http://HOST:PORT`},
		{"bad port", "[hook:b]\nsrc_path = /b\ndst_host = http://h:70000\n",
			`config.ini:3: [hook:b] dst_host has an impossible port; write one from 1 to 65535`},
		{"bad URL with a password", "[hook:b]\nsrc_path = /b\ndst_host = http://u:hunter2/@h\n",
			`config.ini:3: [hook:b] dst_host is not a URL; write http://HOST:PORT, with special characters percent-encoded`},
		{"query in the host", "[hook:b]\nsrc_path = /b\ndst_host = http://h/?token=hunter2\n",
			`config.ini:3: [hook:b] dst_host has a "?" or "#"; put path and query into dst_path`},
		{"destination path", "[hook:b]\nsrc_path = /b\ndst_host = http://h\ndst_path = /100%\n",
			`config.ini:4: [hook:b] dst_path is not a path; percent-encode its special characters`},
		{"space in a query", "[hook:b]\nsrc_path = /b\ndst_host = http://h\ndst_path = /x?token=hunter 2\n",
			`config.ini:4: [hook:b] dst_path has a space in its query; write it as %20`},

		{"all of them, by line", "[app]\nbackoff_timeout = x\nsecrt = hunter2\n[srver]\nport = 1\n",
			`config.ini:2: [app] backoff_timeout "x" is not a duration; write seconds, as "5" or "0.5", or a unit, as "500ms", "90s", "5m" or "1h"` + "\n" +
				`config.ini:3: [app] unknown key "secrt"; did you mean "secret"?` + "\n" +
				`config.ini:4: unknown section [srver]; did you mean [server]?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("config.ini", tt.text+hook)
			if err == nil {
				t.Fatal("no mistake found")
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Error("a secret is told")
			}
		})
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
	want := []Hook{{Name: "all", Pattern: "/", Target: "http://127.0.0.1:8989"}}
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
