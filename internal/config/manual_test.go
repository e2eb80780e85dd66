package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manual = "../../config.ini"

// TestManual: the config.ini that is shipped works as it is, and shows every key
// of the table, once, with its default. What [app] may say for every hook stands there.
func TestManual(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	s := parsed(t, string(text))
	if len(s.Hooks) != 1 || s.Hooks[0].Target != "http://127.0.0.1:8989" {
		t.Errorf("hooks %+v", s.Hooks)
	}
	want := make(map[string]string)
	for _, sec := range Sections {
		for _, k := range sec.Keys {
			if sec.Name == "hook:NAME" && isEachHook(k.Name) {
				continue
			}
			want[sec.Name+" "+k.Name] = k.Default
		}
	}
	want["hook:NAME src_path"] = "/hooks/example"
	want["hook:NAME dst_host"] = "http://127.0.0.1:8989"
	if diff := cmp.Diff(want, shown(t, string(text))); diff != "" {
		t.Errorf("-table +config.ini:\n%s", diff)
	}
}

var keyLine = regexp.MustCompile(`(?m)^(?:\[(.*)\]|#?([a-z0-9_]+) =(.*))$`)

// shown returns the keys of a text, active or commented out, with their values.
func shown(t *testing.T, text string) map[string]string {
	keys := make(map[string]string)
	section := ""
	for _, m := range keyLine.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			section = m[1]
			if strings.HasPrefix(section, "hook:") {
				section = "hook:NAME"
			}
			continue
		}
		name := section + " " + m[2]
		if _, ok := keys[name]; ok {
			t.Errorf("%s is shown twice", name)
		}
		keys[name] = strings.TrimSpace(m[3])
	}
	return keys
}

// TestManualDefaults: uncommenting a default changes nothing. (What is not stated of a
// lane is not the same as a stated default; the options tell what holds then.)
func TestManualDefaults(t *testing.T) {
	for _, sec := range Sections {
		for _, k := range sec.Keys {
			if k.Default == "" || k.ofLane {
				continue
			}
			f := defaults()
			if err := k.set(&f, k.Default); err != nil {
				t.Errorf("[%s] %s = %s: %v", sec.Name, k.Name, k.Default, err)
			}
			if diff := cmp.Diff(defaults(), f, cmp.AllowUnexported(fields{}, Hook{})); diff != "" {
				t.Errorf("[%s] %s = %s changes the settings:\n%s", sec.Name, k.Name, k.Default, diff)
			}
		}
	}
}
