package cli

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/webhook-repeater/repeater/internal/config"
)

// What systemd passes to what it starts, and hears from it: see sd_listen_fds(3) and sd_notify(3). Whoever
// else speaks so is served as well; without these variables nothing happens.
const (
	firstPassed = 3 // descriptors 0 to 2 are taken

	nowReady    = "READY=1"
	nowStopping = "STOPPING=1"
)

// listenDoor returns the socket that was passed to this process, or else opens the one of the settings.
// One that was passed stays open while the program is started again: whoever connects meanwhile waits.
func listenDoor(s *config.Settings) (net.Listener, error) {
	n, err := passed()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		ln, err := listenOn(s.Addr())
		if err != nil {
			return nil, fmt.Errorf("%w; choose another with --host and --port", err)
		}
		return ln, nil
	}
	if n > 1 {
		return nil, fmt.Errorf("%d sockets were passed to listen on, and one is needed; write one ListenStream in the socket unit", n)
	}
	f := os.NewFile(firstPassed, "passed socket")
	defer f.Close() // FileListener makes a copy
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket that was passed to listen on: %w", err)
	}
	if _, ok := ln.(*net.TCPListener); !ok {
		_ = ln.Close()
		return nil, fmt.Errorf("the socket that was passed to listen on is of the network %q; a TCP socket is needed", ln.Addr().Network())
	}
	return ln, nil
}

// passed is the number of sockets that are meant for this very process.
func passed() (int, error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return 0, nil // they were passed to a process that has started this one
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("LISTEN_FDS is %q, not a number of sockets", os.Getenv("LISTEN_FDS"))
	}
	return n, nil
}

// notify tells whoever has started the program how it is, if it wants to know.
func notify(log *slog.Logger, state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := send(socket, state); err != nil {
		log.Warn("systemd could not be told how this is", "state", state, "error", err)
	}
}

// send writes one datagram. net takes a leading "@" for the zero byte that it means, too.
func send(socket, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}

// nowReloading says that what was asked for has begun. The time tells it from one that was asked for earlier.
func nowReloading() string { return "RELOADING=1\nMONOTONIC_USEC=" + monotonicMicros() }
