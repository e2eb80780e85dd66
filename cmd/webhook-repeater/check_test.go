package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/redistest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

const quietHook = "[admin]\nlisten = off\n"

// TestCheck has a line for each thing, and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	nobody := "http://" + proctest.Loopback(testport.Plain(t))
	hooks := func(target string) string { return "[hook:jira]\nsrc_path = /hunter2\ndst_host = " + target + "\n" }
	redis := miniredis.RunT(t)
	for _, tt := range []struct {
		name, config string
		args         []string
		code         int
		want         string
	}{
		{"well", quietHook + hooks(dest.URL), []string{"--connect"}, 0, `
✓ config  config.ini is valid, with 1 hook
✓ store  webhook-repeater.db is not there yet, and can be made
✓ hook jira  HOST:PORT is an address and accepts connections
✓ server  not asked, as it has no admin address`},
		{"mistakes", "[server]\nprot = 1\n" + hooks("x"), nil, 1, `
✗ config  config.ini:2: [server] unknown key "prot"; did you mean "port"?
✗ config  config.ini:5: [hook:jira] dst_host has no scheme; write http:// or https:// in front of the host`},
		{"no file", "", []string{"-c", "none.ini"}, 1, `
✗ config  none.ini: no such file or directory; name a file to read with --config`},
		{"no file at all", "", nil, 1, `
✗ config  there is no config.ini in this directory; name a file with -c FILE, or look at what --to URL would do`},
		{"destinations", quietHook + hooks("http://u:hunter2@nowhere.invalid/hunter2"), nil, 1, `
✓ config  config.ini is valid, with 1 hook
✓ store  webhook-repeater.db is not there yet, and can be made
✗ hook jira  nowhere.invalid:80 does not resolve: no such host
✓ server  not asked, as it has no admin address`},
		{"nobody there", quietHook + hooks(nobody), []string{"--connect"}, 1, `
✓ config  config.ini is valid, with 1 hook
✓ store  webhook-repeater.db is not there yet, and can be made
✗ hook jira  HOST:PORT cannot be connected to: connection refused
✓ server  not asked, as it has no admin address`},
		{"a folder that is not there", quietHook + "[store]\nfile = none/a.db\n" + hooks(nobody), nil, 1, `
✓ config  config.ini is valid, with 1 hook
✗ store  none/a.db is not there, and cannot be made: none: no such file or directory
✓ hook jira  HOST:PORT is an address
✓ server  not asked, as it has no admin address`},
		{"what is no store", quietHook + "[store]\nfile = config.ini\n" + hooks(nobody), nil, 1, `
✓ config  config.ini is valid, with 1 hook
✗ store  config.ini cannot be read as a store: invalid database; look whether it is the store file at all, and if so, webhook-repeater repair config.ini saves what can be read
✓ hook jira  HOST:PORT is an address
✓ server  not asked, as it has no admin address`},
		{"a guarded address", quietHook + "[hook:jira]\nsrc_path = /jira\ndst_host = http://169.254.169.254\n", nil, 1, `
✗ config  config.ini:5: [hook:jira] dst_host is an address of the link or of a cloud's own services, where nothing is sent; allow_to under [app] permits it`},
		{"a guarded address that is permitted", quietHook + "[app]\nallow_to = 169.254.10.0/24\n" + hooks("http://169.254.10.1:81"), nil, 0,
			"✓ hook jira  169.254.10.1:81 is an address"},
		{"too little room", quietHook + "[store]\ndisk_floor = 9000000GB\n" + hooks(nobody), nil, 1, `
✓ config  config.ini is valid, with 1 hook
✓ store  webhook-repeater.db is not there yet, and can be made
✗ disk  SIZE is free on the disk of webhook-repeater.db, less than the disk_floor of SIZE: senders hear 503
✓ hook jira  HOST:PORT is an address
✓ server  not asked, as it has no admin address`},
		{"no Redis", quietHook + "[store]\nredis_url = redis://u:hunter2@" + strings.TrimPrefix(nobody, "http://") + "\n" + hooks(nobody), nil, 1, `
✓ config  config.ini is valid, with 1 hook
✗ store  Redis does not answer: dial tcp HOST:PORT: connect: connection refused
✓ hook jira  HOST:PORT is an address
✓ server  not asked, as it has no admin address`},
		{"a Redis that does not tell", quietHook + "[store]\nredis_url = redis://" + redis.Addr() + "\nredis_strict = yes\n" + hooks(nobody), nil, 1,
			"redis_strict forbids that"},
		{"--to", "", []string{"--to", dest.URL}, 0, "✓ config  everything is forwarded to one destination\n✓ store  webhook-repeater.db is not there yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.config != "" {
				dir = write(t, "config.ini", tt.config)
			}
			before := names(t, dir)
			res := command(t, dir, nil, append([]string{"check"}, tt.args...)...)
			if res.code != tt.code || res.stderr != "" || !strings.Contains(settled(res.stdout), strings.TrimSpace(tt.want)) {
				t.Errorf("ends with %d, says\n%s%s\nwant %d and\n%s", res.code, settled(res.stdout), res.stderr, tt.code, tt.want)
			}
			if after := names(t, dir); after != before {
				t.Errorf("files before: %s, after: %s", before, after)
			}
		})
	}
}

// TestCheckRedis warns of a Redis that may lose what it has acknowledged.
func TestCheckRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	dir := write(t, "config.ini", quietHook+"[store]\nredis_url = redis://"+server.Addr()+"\n"+hook)
	look := func(want string, code int) {
		t.Helper()
		res := command(t, dir, nil, "check")
		if res.code != code || !strings.Contains(settled(res.stdout), want) {
			t.Errorf("want %q, got %+v", want, res)
		}
	}
	look("✓ store  Redis answers, and is set up to lose nothing", 0)
	if err := client.ConfigSet(context.Background(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	look(`! store  redis: redis may lose what it has acknowledged: appendfsync is "everysec"`, 0)
}

// TestCheckBesideAServer finds its store in use, and that it is well; before, what others may read.
func TestCheckBesideAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	says(t, "check", r.prints("check"), `
✓ config  config.ini is valid, with 1 hook
✓ store  webhook-repeater.db (SIZE) is in use by a server
✓ hook jira  HOST:PORT is an address
✓ server  http://HOST:PORT stores and delivers`)
	r.file("full.ini", quietHook+"[store]\nfile = webhook-repeater.db\ndisk_floor = 9000000GB\n"+hook)
	full := func(code int, want string) {
		t.Helper()
		res := r.does("check", "-c", "full.ini")
		if want += "  SIZE is free on the disk of webhook-repeater.db, less than the disk_floor of SIZE: senders hear 503"; res.code != code || !strings.Contains(settled(res.stdout), want) {
			t.Errorf("want %d and %q, got %+v", code, want, res)
		}
	}
	full(0, "! disk") // only the server knows what room there is inside the file
	r.Signal(t, os.Interrupt)
	r.ends(t, 0)
	if err := os.Chmod(filepath.Join(r.dir, "webhook-repeater.db"), 0o644); err != nil { // #nosec G302 -- to be warned of
		t.Fatal(err)
	}
	says(t, "check", r.prints("check"), `
✓ config  config.ini is valid, with 1 hook
! store  webhook-repeater.db has mode 0644, so that others on this machine can get at it; chmod 600 ends that
✓ store  webhook-repeater.db (SIZE) can be read and written
✓ hook jira  HOST:PORT is an address
✓ server  none runs at http://HOST:PORT`)
	full(1, "✗ disk")
	r.checksDamage()
	var told struct {
		OK     bool
		Checks []struct{ Name, Level, Text string }
	}
	r.reads(&told, "check")
	if !told.OK || len(told.Checks) != 5 || told.Checks[1].Level != "warning" || told.Checks[1].Text == "" {
		t.Errorf("check --json: %+v", told)
	}
	var failed struct{ OK *bool }
	res := r.does("check", "-c", "none.ini", "--json")
	if err := json.Unmarshal([]byte(res.stdout), &failed); err != nil || res.code != 1 || failed.OK == nil || *failed.OK {
		t.Errorf("check --json of no file: %v, %+v", err, res)
	}
}

// checksDamage: what a server would not open is found beforehand, too.
func (r *rig) checksDamage() {
	r.t.Helper()
	path := filepath.Join(r.dir, "webhook-repeater.db")
	sound, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	damaged := bytes.Clone(sound)
	for i := len(damaged) / 10; i < len(damaged); i++ { // the first pages tell where the others are
		damaged[i] = 0xff
	}
	r.put(path, damaged)
	defer r.put(path, sound)
	res := r.does("check")
	if want := "✗ store  webhook-repeater.db is damaged: page "; res.code != 1 || !strings.Contains(settled(res.stdout), want) ||
		!strings.Contains(res.stdout, "webhook-repeater repair webhook-repeater.db saves what can be read") {
		r.t.Errorf("want %q, got %+v", want, res)
	}
}

func (r *rig) put(path string, b []byte) {
	r.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		r.t.Fatal(err)
	}
}
