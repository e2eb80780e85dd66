package contrib_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// fromTop reads a file of the top folder.
func fromTop(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDockerfile: what it copies is there, what it builds needs nothing around it, and it runs as nobody in particular.
func TestDockerfile(t *testing.T) {
	instructions := dockerfile(t)
	for _, copied := range instructions["COPY"] {
		words := strings.Fields(copied)
		if strings.HasPrefix(copied, "--from=") {
			continue
		}
		for _, src := range words[:len(words)-1] {
			if _, err := os.Stat(filepath.Join("..", src)); err != nil {
				t.Error(err)
			}
		}
	}
	for instruction, want := range map[string][]string{
		"USER": {"65532:65532"}, "WORKDIR": {"/src", "/data"}, "VOLUME": {"/data"}, "EXPOSE": {defaultOf(t, "server", "port") + " 8101"},
	} {
		if diff := cmp.Diff(want, instructions[instruction]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", instruction, diff)
		}
	}
	if from := instructions["FROM"]; from[len(from)-1] != "scratch" {
		t.Errorf("the image is made of %s", from)
	}
	for _, instruction := range []string{"ENTRYPOINT", "CMD"} { // without a shell, which scratch has not
		var words []string
		if err := json.Unmarshal([]byte(instructions[instruction][0]), &words); err != nil {
			t.Errorf("%s: %v", instruction, err)
		}
	}

	dir := t.TempDir()
	buildAsTold(t, instructions, dir)
	program := filepath.Join(dir, "webhook-repeater")
	wantStatic(t, program)
	if out, err := exec.Command(program, "version").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// dockerfile returns what follows each instruction, in order.
func dockerfile(t *testing.T) map[string][]string {
	t.Helper()
	instructions := make(map[string][]string)
	for _, m := range regexp.MustCompile(`(?m)^([A-Z]+) (.*)$`).FindAllStringSubmatch(fromTop(t, "Dockerfile"), -1) {
		instructions[m[1]] = append(instructions[m[1]], m[2])
	}
	return instructions
}

// buildAsTold runs what builds the program, with out instead of /out.
func buildAsTold(t *testing.T, instructions map[string][]string, out string) {
	t.Helper()
	for _, run := range instructions["RUN"] {
		if !strings.Contains(run, "go build") {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(run, "/out/", out+"/"))
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOFLAGS=-buildvcs=false")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", run, err, said)
		}
		return
	}
	t.Fatal("nothing is built")
}

// wantStatic wants a program that needs no other file to run.
func wantStatic(t *testing.T, program string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return // images are built on Linux
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program wants an interpreter, which is not in the image")
		}
	}
}

// TestReleases: all six platforms are built, from what there is, and without a trace of the build itself.
func TestReleases(t *testing.T) {
	var c struct {
		Builds []struct {
			Main         string
			Env, Flags   []string
			Goos, Goarch []string
		}
		Archives []struct{ Files []string }
	}
	if err := yaml.Unmarshal([]byte(fromTop(t, ".goreleaser.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Builds) != 2 || len(c.Archives) != 1 {
		t.Fatalf("%d builds, %d archives", len(c.Builds), len(c.Archives))
	}
	for _, b := range c.Builds {
		if _, err := os.Stat(filepath.Join("..", b.Main, "main.go")); err != nil {
			t.Error(err)
		}
		got := [][]string{b.Goos, b.Goarch, b.Env, b.Flags}
		want := [][]string{{"linux", "darwin", "windows"}, {"amd64", "arm64"}, {"CGO_ENABLED=0"}, {"-trimpath"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", b.Main, diff)
		}
	}
	for _, pattern := range c.Archives[0].Files {
		if found, err := filepath.Glob(filepath.Join("..", pattern)); err != nil || len(found) == 0 {
			t.Errorf("there is no %s, %v", pattern, err)
		}
	}
	if !slices.Contains(strings.Split(fromTop(t, ".gitignore"), "\n"), "/dist/") {
		t.Error("git would see dist, and the go command call each binary changed")
	}
}
