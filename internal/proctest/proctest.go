// Package proctest builds the programs of this module and runs them in tests, as
// operators do.
package proctest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

const module = "github.com/webhook-repeater/repeater"

var (
	scratch  string // what is built, until the end of the tests
	mu       sync.Mutex
	programs = make(map[string]func() (string, error))
)

// Main runs the tests of a package that uses Program.
func Main(m *testing.M) int {
	done, err := Begin()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer done()
	return m.Run()
}

// Begin is Main for a program that is no test. Call done at its end.
func Begin() (done func(), err error) {
	if scratch, err = os.MkdirTemp("", "proctest-"); err != nil {
		return nil, err
	}
	return func() { _ = os.RemoveAll(scratch) }, nil
}

// Program builds cmd/name, once, and returns where it is. It is never built with -race:
// that would change the timing, which tests are to meet as it is.
func Program(t testing.TB, name string) string {
	t.Helper()
	mu.Lock()
	build := programs[name]
	if build == nil {
		build = sync.OnceValues(func() (string, error) {
			bin := filepath.Join(scratch, name+".exe")
			out, err := exec.Command("go", "build", "-o", bin, module+"/cmd/"+name).CombinedOutput() // #nosec G204 -- a program of this module
			if err != nil {
				return "", fmt.Errorf("go build: %w\n%s", err, out)
			}
			return bin, nil
		})
		programs[name] = build
	}
	mu.Unlock()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Loopback is the address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
