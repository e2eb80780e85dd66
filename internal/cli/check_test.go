package cli_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/cli"
)

// TestGuarded: of what a name resolves to, a check tells where nothing is sent.
func TestGuarded(t *testing.T) {
	t.Parallel()
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:169.254.169.254"), netip.MustParseAddr("169.254.10.1"), netip.MustParseAddr("fe80::1")}
	if diff := cmp.Diff([]string{"169.254.169.254", "169.254.10.1", "fe80::1"}, cli.Guarded(addrs, "80", nil)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"169.254.169.254"}, cli.Guarded(addrs, "80", []string{"169.254.10.0/24", "fe80::/10"})); diff != "" {
		t.Errorf("permitted: -want +got:\n%s", diff)
	}
}
