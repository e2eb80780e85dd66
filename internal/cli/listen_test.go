package cli_test

import (
	"net"
	"testing"

	"github.com/webhook-repeater/repeater/internal/cli"
)

// TestListenOnIPv4: config.ini says that 0.0.0.0 is every IPv4 address, so it must not be those of IPv6 as well.
func TestListenOnIPv4(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"0.0.0.0", "127.0.0.1"} {
		ln, err := cli.Listen(net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if got := ln.Addr().(*net.TCPAddr).IP.String(); got != host {
			t.Errorf("%s: it listens on %s", host, got)
		}
	}
	for _, addr := range []string{"localhost:0", ":0"} {
		ln, err := cli.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
}
