package repeater

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseTarget never quotes the target as a whole: it may carry a password or a token.
func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, notURL(err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, wrongScheme(target, u.Scheme)
	case !validPort(u.Port()):
		return nil, errors.New("the URL's port is not from 1 to 65535")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, errors.New("the URL's query contains a space or control character; escape it")
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port is the default one
	return u, nil
}

// notURL does not use the words of net/url: what that takes for a port is often
// the rest of a password.
func notURL(err error) error {
	if _, ok := errors.AsType[url.EscapeError](err); ok {
		return errors.New("not a URL: a % in it begins no escape such as %25")
	}
	return errors.New("not a URL: look at its host and port, and percent-encode special characters in user name and password")
}

// wrongScheme quotes only what can be nothing but a scheme: in "user:password@host"
// it would be the user.
func wrongScheme(target, scheme string) error {
	if strings.HasPrefix(target[len(scheme):], "://") && scheme != "" {
		return fmt.Errorf("scheme %q is not http or https", scheme)
	}
	return errors.New("the scheme is missing: a URL begins with http:// or https://")
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// origin is what shares health, and so a lane: scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q covers more than the IPv4-mapped addresses; write it as IPv4", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
