package cli

import (
	"net"
	"net/netip"
)

// listenOn takes an IPv4 address at its word. Package net understands 0.0.0.0 as every address, those of IPv6 too,
// where a firewall may not expect anybody.
func listenOn(addr string) (net.Listener, error) {
	network := "tcp"
	if a, err := netip.ParseAddrPort(addr); err == nil && a.Addr().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, addr)
}
