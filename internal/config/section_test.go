package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/config"
)

// TestLoadKeys reads what it is asked for, whatever else is wrong with the file.
func TestLoadKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.ini")
	text := "[server]\nport = 1\nprot = 2\n[admin]\nlisten = 127.0.0.1:1\ntoken = env:NOT_SET_ANYWHERE\n[admin]\nlisten = 127.0.0.1:2\n" +
		"[hook:a b]\nsrc_path = a b/\n[hook:c]\nsrc_path = //\n[nonsense]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, given, err := config.LoadKeys(path, "admin", "listen")
	if err != nil || s.AdminListen != "127.0.0.1:1" || !given["listen"] || given["token"] {
		t.Errorf("admin: %+v, %v, %v", s, given, err)
	}
	s, given, err = config.LoadKeys(path, "server", "host", "port")
	if err != nil || s.Port != 1 || s.Host != "0.0.0.0" || given["host"] || !given["port"] {
		t.Errorf("server: %+v, %v, %v", s, given, err)
	}
	s, _, err = config.LoadKeys(path, "hook:a b", "src_path")
	if err != nil || len(s.Hooks) != 1 || s.Hooks[0].Name != "a b" || s.Hooks[0].RequestPath() != "/a%20b/" {
		t.Errorf("hook: %+v, %v", s, err)
	}
	s, given, err = config.LoadKeys(path, "hook:none", "src_path")
	if err != nil || len(s.Hooks) != 0 || given["src_path"] {
		t.Errorf("no hook: %+v, %v", s, err)
	}
	for section, want := range map[string]string{"admin": path + ":6: [admin] token is to be in the environment", "hook:c": path + ":12: [hook:c] src_path"} {
		if _, _, err := config.LoadKeys(path, section, "token", "src_path"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", section, err, want)
		}
	}
	if _, _, err := config.LoadKeys(path+"x", "admin"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}
