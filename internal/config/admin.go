package config

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listenAddress takes HOST:PORT, or off.
func listenAddress(to func(*fields) *string) kind {
	return kind{Kind: "HOST:PORT, or off", set: func(f *fields, v string) error {
		if strings.EqualFold(v, "off") {
			*to(f) = ""
			return nil
		}
		h, port, err := net.SplitHostPort(v)
		if err != nil {
			return errors.New("is not an address to listen on; write HOST:PORT, as 127.0.0.1:8101, or off")
		}
		if h, err = ParseHost(h); err != nil {
			return err
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return errors.New("has no port from 0 to 65535; write HOST:PORT, as 127.0.0.1:8101, or off")
		}
		*to(f) = net.JoinHostPort(h, port)
		return nil
	}}
}

// leastToken is what repeater.AdminToken takes.
const leastToken = 16

func adminToken(to func(*fields) *string) kind {
	return kind{Kind: "text", set: func(f *fields, v string) error {
		if len(v) < leastToken {
			return errors.New(`is shorter than 16 bytes; make one with "openssl rand -base64 32"`)
		}
		*to(f) = v
		return nil
	}}
}

// checkAdmin keeps whoever has no token to programs on this machine.
func (r *reader) checkAdmin() {
	line := r.lines["admin.listen"]
	r.AdminExplicit = line > 0
	if r.AdminListen == "" || r.AdminToken != "" || onThisMachine(r.AdminListen) {
		return
	}
	if r.lines["admin.token"] == 0 {
		r.fail(line, "[admin] listen lets in others than this machine, and there is no token; "+
			`write one under [admin], as "openssl rand -base64 32" prints it, or listen on 127.0.0.1`)
	}
}

func onThisMachine(address string) bool {
	h, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(h)
	return h == "localhost" || err == nil && a.Unmap().IsLoopback()
}
