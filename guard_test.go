package repeater_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/webhook-repeater/repeater"
)

func TestGuardedAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address string
		allow   string
		want    bool // refused
	}{
		{"169.254.169.254:80", "", true},
		{"169.254.0.1:443", "", true},
		{"169.253.0.1:80", "", false},
		{"[::ffff:169.254.169.254]:80", "", true},
		{"[64:ff9b::169.254.169.254]:80", "", true},
		{"[64:ff9b::192.0.2.1]:80", "", false},
		{"[2002:a9fe:a9fe::1]:80", "", true},
		{"[fe80::1%eth0]:80", "", true},
		{"[febf::1]:80", "", true},
		{"[fec0::1]:80", "", false},
		{"[fd00:ec2::254]:80", "", true},
		{"[fd20:ce::254]:80", "", true},
		{"168.63.129.16:80", "", true},
		{"100.100.100.200:80", "", true},
		{"192.0.0.192:80", "", true},
		{"127.0.0.1:80", "", false},
		{"10.1.2.3:80", "", false},
		{"172.16.0.1:80", "", false},
		{"192.168.0.1:80", "", false},
		{"[fd00::1]:80", "", false},
		{"[::1]:80", "", false},
		{"203.0.113.1:80", "", false},
		{"not an address", "", true},
		{"169.254.10.1:80", "169.254.10.0/24", false},
		{"[::ffff:169.254.10.1]:80", "169.254.10.0/24", false},
		{"169.254.11.1:80", "169.254.10.0/24", true},
		{"[fe80::1%eth0]:80", "fe80::/10", false},
	} {
		var allow []netip.Prefix
		if tt.allow != "" {
			allow = append(allow, netip.MustParsePrefix(tt.allow))
		}
		if err := repeater.Guard(tt.address, allow...); (err != nil) != tt.want {
			t.Errorf("%s with AllowTo %q: %v, want refused %v", tt.address, tt.allow, err, tt.want)
		}
	}
}

// TestGuardAfterDNS is not parallel: it replaces the process's name service by one in which every
// name is a metadata service.
func TestGuardAfterDNS(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	server := lyingNameService(t, [4]byte{169, 254, 169, 254})
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server)
	}}
	const want = "not allowed: address of the link or of a cloud's own services; see AllowTo"
	for _, opts := range [][]repeater.RouteOption{nil, {repeater.H2C()}} {
		if got := attemptError(t, "http://innocent.example/canary", opts); got != want {
			t.Errorf("told as %q, want %q", got, want)
		}
	}
}

// lyingNameService answers every question for an IPv4 address with the same one.
func lyingNameService(t *testing.T, address [4]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(dnsAnswer(buf[:n], address), from)
		}
	}()
	return conn.LocalAddr().String()
}

// dnsAnswer repeats the question, and what follows it only if it is of type A.
func dnsAnswer(question []byte, address [4]byte) []byte {
	const header, typeA = 12, 1
	end := header
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the root, type and class
	answer := append([]byte(nil), question[:end]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180) // a response without error
	binary.BigEndian.PutUint16(answer[6:], 0)
	binary.BigEndian.PutUint32(answer[8:], 0)
	if binary.BigEndian.Uint16(question[end-4:]) != typeA {
		return answer
	}
	binary.BigEndian.PutUint16(answer[6:], 1)
	answer = append(answer, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4)
	return append(answer, address[:]...)
}
