package repeater

import "sync"

// redisShare sees to it that no process keeps more than its share of the busy lanes.
// Processes announce how many they hold; whoever holds more than the average gives
// some up, which the others find free.
type redisShare struct {
	id string // of this process

	mu     sync.Mutex
	held   int // lanes that are claimed here
	giving int // of those, told to yield
	quota  int // so many more are to be told
	given  int // that were told since the last announcement
	last   int // lanes that all held at the last announcement
}

const (
	// processFor is how long after its last announcement a process still counts.
	processFor = 3 * announce
	// keepFor is how long a lane stays at least, so that none is handed to and fro.
	keepFor = turnLength
)

func (s *redisShare) took() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
}

func (s *redisShare) left(giving bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	if giving {
		s.giving--
	}
}

func (s *redisShare) holds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// learn sets how many lanes to give up until the next announcement: half of what is
// too much. A lane on its way between two processes is counted by neither of them, so what
// was given lately is added, and the last total holds if it is higher.
func (s *redisShare) learn(processes, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total += s.given
	s.last, total = total, max(total, s.last)
	s.quota, s.given = 0, 0
	if processes < 2 {
		return
	}
	share := (total + processes - 1) / processes
	if surplus := s.held - s.giving - share; surplus > 0 {
		s.quota = (surplus + 1) / 2
	}
}

// give reports whether one more lane should go.
func (s *redisShare) give() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quota <= 0 {
		return false
	}
	s.quota--
	s.giving++
	s.given++
	return true
}
