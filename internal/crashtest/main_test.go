package crashtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait for something that takes far less.
const patience = 30 * time.Second

var scratch string // of the whole run

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "crashtest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// program builds what operators run, once. It is never built with -race: that
// would change the timing which the kills are to hit.
var program = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(scratch, "webhook-repeater.exe")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/webhook-repeater/repeater/cmd/webhook-repeater").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

// seeded returns the randomness of a test, which a failure's log lets repeat.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("REPEATER_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("REPEATER_SEED: %v", err)
		}
	}
	t.Logf("REPEATER_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Ports lie below those from which outgoing connections take theirs: nothing else may
// settle on one while the process that owns it is dead.
var (
	firstPort = 20000 + rand.IntN(10000)
	ports     atomic.Int32
)

func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := firstPort + int(ports.Add(1))
		if ln, err := net.Listen("tcp", loopback(port)); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
