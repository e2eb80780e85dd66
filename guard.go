package repeater

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
)

// AllowTo allows destinations at these addresses or networks ("169.254.10.0/24"), which are refused
// otherwise: link-local ones (169.254.0.0/16 and fe80::/10), where clouds serve credentials to
// whoever asks, and some other addresses where they do. Every address that a destination's name
// resolves to is checked, at each connection, so that a name cannot turn into such an address
// later. Private networks need no permission. Several add up; an empty list is a mistake.
//
// The guard is in the Repeater's own transport. It does not apply to [WithTransport], nor behind an
// HTTP proxy of the environment, which connects on the Repeater's behalf: only the proxy's own
// address is checked.
func AllowTo(cidrs ...string) Option {
	return func(c *config) {
		if len(cidrs) == 0 {
			c.fail("AllowTo names no network")
		}
		for _, s := range cidrs {
			p, err := parsePrefix(s)
			if err != nil {
				c.fail("AllowTo: %w", err)
				continue
			}
			c.allowTo = append(c.allowTo, p)
		}
	}
}

var errGuarded = errors.New("address of the link or of a cloud's own services")

// guarded are addresses where no webhook has any business: of the link, and of metadata services elsewhere.
var guarded = prefixes{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud
}

// Networks whose addresses have an IPv4 address in them, which is where they lead.
var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// guard is a net.Dialer's ControlContext: it sees addresses after the name service.
func (ps prefixes) guard(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errGuarded
	}
	if ps.refuses(ap.Addr()) {
		return errGuarded
	}
	return nil
}

// refuses tells whether an address is guarded, and not among ps.
func (ps prefixes) refuses(a netip.Addr) bool {
	a = inner(a.Unmap().WithZone(""))
	return guarded.contain(a) && !ps.contain(a)
}

// inner returns the IPv4 address that an IPv6 address stands for, if it does.
func inner(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:]))
	}
	return a
}
