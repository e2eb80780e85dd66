package contrib_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/config"
)

const unitDir = "systemd"

func unit(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unitDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting returns the only value that a unit gives a key.
func setting(t *testing.T, text, key string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(key)+`=(.*)$`).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%s= is there %d times, want once", key, len(found))
	}
	return found[0][1]
}

func defaultOf(t *testing.T, section, key string) string {
	t.Helper()
	for _, s := range config.Sections {
		for _, k := range s.Keys {
			if s.Name == section && k.Name == key {
				return k.Default
			}
		}
	}
	t.Fatalf("there is no key %s under [%s]", key, section)
	return ""
}

// TestUnits: what the units say agrees with the program and with each other.
func TestUnits(t *testing.T) {
	service, socket := unit(t, "webhook-repeater.service"), unit(t, "webhook-repeater.socket")
	if got, want := setting(t, socket, "ListenStream"), defaultOf(t, "server", "port"); got != want {
		t.Errorf("the socket has port %s, the program %s", got, want)
	}
	stop, err := time.ParseDuration(setting(t, service, "TimeoutStopSec"))
	if err != nil {
		t.Fatal(err)
	}
	grace, err := time.ParseDuration(defaultOf(t, "server", "grace"))
	if err != nil {
		t.Fatal(err)
	}
	if stop < 2*grace {
		t.Errorf("it is killed after %v, and may take %v to stop", stop, grace)
	}
	home := "/var/lib/" + setting(t, service, "StateDirectory")
	user := "u " + setting(t, service, "User") + " "
	if users := unit(t, "webhook-repeater.sysusers"); setting(t, service, "WorkingDirectory") != home ||
		!strings.HasPrefix(users, user) || !strings.Contains(users, home) {
		t.Errorf("user and folder differ: %s, %q", home, users)
	}
	config := strings.Fields(setting(t, service, "ExecStart"))
	if dir, name := filepath.Split(config[len(config)-1]); !strings.Contains(service, "#     install -m 0640 -g webhook-repeater "+name+" "+dir+"\n") {
		t.Errorf("%s is not put into its place %s", name, dir)
	}
	for _, m := range regexp.MustCompile(`(?m)^# +install .* (contrib/\S+) `).FindAllStringSubmatch(service+socket, -1) {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestUnitsAreUnderstood: systemd has no objection to the units, where there is one.
func TestUnitsAreUnderstood(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // TestUnits has looked at what can be told without
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "webhook-repeater")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil { // #nosec G306 -- it is to be executable
		t.Fatal(err)
	}
	var units []string
	for _, name := range []string{"webhook-repeater.service", "webhook-repeater.socket"} {
		text := strings.ReplaceAll(unit(t, name), "/usr/local/bin/webhook-repeater", program)
		units = append(units, filepath.Join(dir, name))
		if err := os.WriteFile(units[len(units)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v:\n%s", err, out)
	}
}
