package crashtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// patience bounds every wait for something that takes far less.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(proctest.Main(m)) }

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
