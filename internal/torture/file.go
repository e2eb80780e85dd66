//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileKill kills the program, under load or while it starts.
func fileKill(s *scene) {
	s.begin(1, 0)
	n := s.nodes[0]
	s.each(func() {
		if s.rnd.IntN(5) > 0 {
			s.serving(n.Since)
			s.sleep(400)
		} else {
			s.sleep(20) // while it starts
		}
		s.kill(n)
		s.start(n)
	})
	s.serving(n.Since)
	s.end()
}

// fileStop stops the program for a while, longer than some senders wait, and sometimes
// kills it while it is stopped.
func fileStop(s *scene) {
	s.begin(1, 400*time.Millisecond)
	n := s.nodes[0]
	s.each(func() {
		s.sleep(300)
		s.alive(n)
		n.Signal(s, syscall.SIGSTOP)
		s.sleep(900)
		healed := time.Now()
		if s.rnd.IntN(6) == 0 {
			s.kill(n)
			s.start(n)
		} else {
			n.Signal(s, syscall.SIGCONT)
		}
		s.serving(healed)
	})
	s.end()
}

// fileLimit lets the file not grow, or not be written in its further parts, and sometimes
// kills the program then.
func fileLimit(s *scene) {
	s.begin(1, 0)
	n := s.nodes[0]
	s.each(func() {
		s.sleep(200)
		s.limit(n, 1<<20+s.rnd.Uint64N(18<<20))
		s.refused(2 * time.Second)
		s.flap()
		s.sleep(400)
		healed := time.Now()
		if s.rnd.IntN(5) == 0 {
			s.kill(n)
			s.start(n)
		} else {
			s.alive(n)
			s.limit(n, unix.RLIM_INFINITY)
		}
		s.serving(healed)
	})
	s.end()
}

func (s *scene) limit(n *node, bytes uint64) {
	l := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(n.Pid, unix.RLIMIT_FSIZE, &l, nil); err != nil {
		s.Fatal(err)
	}
}

const smallDisk = 64 << 20

// fileDisk has the store on a file system of its own, which others fill and clear.
func fileDisk(s *scene) {
	dir := filepath.Join(s.dir, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.Fatal(err)
	}
	err := unix.Mount("torture", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", smallDisk))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		s.note = "not played: only root may mount a small file system"
		return
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s.useFile(filepath.Join(dir, "store.db"))
	s.store += "disk_floor = 1MB\n"
	s.begin(1, 0)
	n, ballast := s.nodes[0], filepath.Join(dir, "ballast")
	s.each(func() {
		s.sleep(200)
		s.fill(dir, ballast)
		s.refused(2 * time.Second)
		s.flap()
		s.sleep(400)
		if s.rnd.IntN(5) == 0 {
			s.kill(n)
		}
		if err := os.Remove(ballast); err != nil {
			s.Fatal(err)
		}
		healed := time.Now()
		s.up() // or the disk stays full of what waits, and senders hear so for good reason
		if !n.Alive() {
			s.start(n)
		}
		s.serving(healed)
	})
	s.end()
}

// fill leaves nothing of the disk, or a little.
func (s *scene) fill(dir, ballast string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		s.Fatal(err)
	}
	free := int(fs.Bavail) * int(fs.Bsize) // #nosec G115 -- a small disk
	leave := s.rnd.IntN(3) * s.rnd.IntN(2<<20)
	err := os.WriteFile(ballast, make([]byte, max(0, free-leave)), 0o600)
	if err != nil && !errors.Is(err, unix.ENOSPC) { // the program takes of it meanwhile
		s.Fatal(err)
	}
}
