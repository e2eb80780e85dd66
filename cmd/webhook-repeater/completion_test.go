package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestCompletionScripts are ones that their shells can read.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{
		"bash": "complete -o default -F __start_webhook-repeater webhook-repeater",
		"zsh":  "#compdef webhook-repeater",
		"fish": "complete -c webhook-repeater",
	} {
		res := command(t, t.TempDir(), nil, "completion", shell)
		if res.code != 0 || res.stderr != "" || !strings.Contains(res.stdout, want) {
			t.Errorf("%s: %d, %s", shell, res.code, res.stderr)
		}
		if shell == "bash" {
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(res.stdout)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("bash -n: %v\n%s", err, out)
			}
		}
	}
}

// TestCompletion offers commands, flags, and the lanes of the server that is meant.
func TestCompletion(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	for _, tt := range []struct {
		args []string
		want []string // among what is offered
	}{
		{[]string{""}, []string{"status", "lanes", "messages", "dead", "explain", "replay", "drop", "pause", "resume", "retry",
			"drop-refused", "send", "check", "demo", "version", "completion", "help"}},
		{[]string{"re"}, []string{"replay", "resume", "retry"}},
		{[]string{"pause", ""}, []string{r.lane}},
		{[]string{"lanes", "--json", "h"}, []string{r.lane}},
		{[]string{"dead", "--lane", ""}, []string{r.lane}},
		{[]string{"replay", "x.0", "--lane", ""}, []string{r.lane}},
		{[]string{"drop", "--"}, []string{"--lane", "--yes", "--dry-run", "--token-file"}},
		{[]string{"help", ""}, []string{"replay", "completion"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
	} {
		res := r.does(append([]string{"__complete"}, tt.args...)...)
		var offered []string
		for line := range strings.Lines(res.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			offered = append(offered, word)
		}
		for _, w := range tt.want {
			if !slices.Contains(offered, w) {
				t.Errorf("%q: %q is not among %q", tt.args, w, offered)
			}
		}
	}
	for _, args := range [][]string{{"pause", r.lane, ""}, {"pause", "--server", "http://127.0.0.1:1", ""}} {
		if res := r.does(append([]string{"__complete"}, args...)...); strings.Contains(res.stdout, "http://") {
			t.Errorf("%q: %s", args, res.stdout)
		}
	}
}
