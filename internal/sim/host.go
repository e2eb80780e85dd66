package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// mood is how a destination does for a while.
type mood int

const (
	well     mood = iota
	slow          // it answers, in its time
	down          // it refuses connections
	hanging       // it takes requests and never answers
	busy          // it asks for a pause
	failing       // it fails some messages with 500
	refusing      // it wants none of them: 404 and the like
	gone          // 410
	lying         // it does the work, and then the connection breaks, or the answer comes too late
	flapping      // any of these, at each attempt
)

// host is a destination, and its moods in the order in which they come.
type host struct {
	name   string
	phases []phase
	sound  bool // always well
	stays  bool // it stays down when all else gets well
}

type phase struct {
	until time.Duration
	mood  mood
}

func newHost(s seed, i int, length time.Duration) *host {
	h := &host{name: fmt.Sprintf("h%d.example", i), sound: i == 0 && s.maybe(0.6, "sound", "", 0)}
	if h.sound {
		return h
	}
	h.stays = s.maybe(0.1, "stays down", h.name, 0)
	for at, n := time.Duration(0), 0; at < length; n++ {
		m := well
		if s.maybe(0.6, "ill", h.name, n) {
			m = mood(1 + s.below(int(flapping), "mood", h.name, n))
		}
		at += s.between(time.Second, 25*time.Second, "phase", h.name, n)
		h.phases = append(h.phases, phase{at, m})
	}
	return h
}

func (h *host) mood(now time.Duration) mood {
	for _, p := range h.phases {
		if now < p.until {
			return p.mood
		}
	}
	return well
}

// reply is what a destination makes of one request.
type reply struct {
	after  time.Duration
	status int // 0: none
	err    error
	whole  bool // the request had gone out whole
	header http.Header
}

const never = 1000 * time.Hour

// answer is the reply to the n-th request that brings this message, as it is named for one destination.
func (s seed) answer(m mood, message string, n int, now time.Time) reply {
	if m == flapping {
		m = mood(s.below(int(flapping), "flap", message, n))
	}
	soon := s.between(500*time.Microsecond, 60*time.Millisecond, "answer", message, n)
	ok := reply{after: soon, status: pick(s, "success", message, n, 200, 200, 201, 204), whole: true}
	switch m {
	case slow:
		ok.after = s.between(200*time.Millisecond, 6*time.Second, "slow", message, n)
	case down:
		return reply{after: soon / 50, err: syscall.ECONNREFUSED}
	case hanging:
		return reply{after: never, whole: s.maybe(0.8, "hangs", message, n)}
	case busy:
		return s.busy(ok, message, n, now)
	case failing:
		if s.maybe(0.6, "fails", message, n) {
			ok.status = pick(s, "failure", message, n, 500, 500, 501, 507)
		}
	case refusing:
		if s.maybe(0.8, "refuses", message, n) {
			ok.status = pick(s, "refusal", message, n, 404, 400, 401, 301, 422)
		}
	case gone:
		if s.maybe(0.7, "gone", message, n) {
			ok.status = 410
		}
	case lying:
		switch s.below(4, "lie", message, n) {
		case 0:
			return reply{after: soon, err: syscall.ECONNRESET, whole: true}
		case 1:
			return reply{after: soon, err: io.ErrUnexpectedEOF, whole: true}
		case 2:
			ok.after = s.between(4*time.Second, 60*time.Second, "late", message, n)
		}
	}
	return ok
}

func (s seed) busy(r reply, message string, n int, now time.Time) reply {
	r.status = pick(s, "busy", message, n, 503, 502, 504, 408, 425, 429)
	wait := s.between(0, 30*time.Second, "wait", message, n)
	switch s.below(4, "retry after", message, n) {
	case 0:
		r.header = http.Header{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}}
	case 1:
		r.header = http.Header{"Retry-After": {now.Add(wait).UTC().Format(http.TimeFormat)}}
	}
	return r
}

// poison is what a few messages get whatever the mood.
func (s seed) poison(message string, n int) (reply, bool) {
	r := reply{after: s.between(time.Millisecond, 40*time.Millisecond, "poison acts", message, n), whole: true}
	switch s.below(40, "poison", message, 0) {
	case 0:
		r.status = 500
	case 1:
		r.after = never
	case 2:
		r.status = 404
	default:
		return reply{}, false
	}
	return r, true
}
