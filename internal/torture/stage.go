//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// stage lets what is made for tests serve a program: it is the testing.TB of one
// scenario. What is not overridden here is not used, and would panic.
type stage struct {
	testing.TB
	name   string
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	cleanups []func()
	faults   []string
}

// perform runs play to its end, or to its first fatal fault, and cleans up.
func perform(ctx context.Context, name string, play func(*stage)) *stage {
	s := &stage{name: name}
	s.ctx, s.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.cleanUp()
		defer func() {
			if p := recover(); p != nil {
				s.Errorf("panic: %v", p)
			}
		}()
		play(s)
	}()
	<-done
	return s
}

func (s *stage) cleanUp() {
	s.cancel()
	for {
		s.mu.Lock()
		n := len(s.cleanups) - 1
		if n < 0 {
			s.mu.Unlock()
			return
		}
		last := s.cleanups[n]
		s.cleanups = s.cleanups[:n]
		s.mu.Unlock()
		last()
	}
}

func (s *stage) Helper()                  {}
func (s *stage) Name() string             { return s.name }
func (s *stage) Context() context.Context { return s.ctx }

func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "torture-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *stage) Error(args ...any) { s.Errorf("%s", fmt.Sprint(args...)) }

func (s *stage) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *stage) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf is a fault: a scenario that was not played proves nothing.
func (s *stage) Skipf(format string, args ...any) { s.Fatalf(format, args...) }

func (s *stage) Failed() bool { return len(s.Faults()) > 0 }

// Faults returns what must not be.
func (s *stage) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

func (s *stage) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, fmt.Sprintf(format, args...))
}

func (s *stage) Log(args ...any) { s.Logf("%s", fmt.Sprint(args...)) }
