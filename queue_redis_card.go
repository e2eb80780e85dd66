package repeater

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// redisCard is all of a message but its payload: one line of text, as scripts read it.
type redisCard struct {
	attempts int
	silent   int   // of the last attempts
	born     int64 // pushed or replayed, in ms on the lane's clock
	size     int
	crc      uint32
	received time.Time
	route    string
}

// newRedisCard writes what of a card never changes: size, checksum, time of receipt,
// order key, route. Scripts put attempts, silent and born in front.
func newRedisCard(b *Batch, m *Message, order string) string {
	return fmt.Sprintf("%d %08x %s %s %s",
		len(m.Payload), crc32.Checksum(m.Payload, castagnoli), formatTime(b.Received), order, b.Route)
}

var errRedisCard = errors.New("malformed card")

func readRedisCard(s string) (redisCard, error) {
	f := strings.SplitN(s, " ", 8)
	if len(f) < 8 {
		return redisCard{}, errRedisCard
	}
	attempts, err1 := strconv.Atoi(f[0])
	silent, err2 := strconv.Atoi(f[1])
	born, err3 := strconv.ParseInt(f[2], 10, 64)
	size, err4 := strconv.Atoi(f[3])
	crc, err5 := strconv.ParseUint(f[4], 16, 32)
	received, err6 := parseTime(f[5])
	if errors.Join(err1, err2, err3, err4, err5, err6) != nil {
		return redisCard{}, errRedisCard
	}
	return redisCard{attempts, silent, born, size, uint32(crc), received, f[7]}, nil
}

// age is how old the message is at a time on its lane's clock.
func (c redisCard) age(clock int64) time.Duration {
	return time.Duration(max(0, clock-c.born)) * time.Millisecond
}

// verify returns the payload if it is the one that was pushed. Both are as a script
// has returned them: nil where there is nothing.
func (c redisCard) verify(payload any) ([]byte, error) {
	p, ok := payload.(string)
	if !ok || len(p) != c.size {
		return nil, ErrCorrupt
	}
	b := []byte(p)
	if crc32.Checksum(b, castagnoli) != c.crc {
		return nil, ErrCorrupt
	}
	return b, nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatInt(t.UnixNano(), 10)
}

func parseTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	ns, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(0, ns).UTC(), err
}

// parseKey reads what Key.String wrote.
func parseKey(s string) (Key, error) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return Key{}, fmt.Errorf("%q names no message", s)
	}
	dest, err := strconv.Atoi(s[i+1:])
	if err != nil {
		return Key{}, fmt.Errorf("%q names no message", s)
	}
	return Key{s[:i], dest}, nil
}

// formatAttempt writes one line of a history; "" for an attempt that is not to be recorded.
func formatAttempt(a Attempt) string {
	if a.At.IsZero() {
		return ""
	}
	silent := 0
	if a.Silent {
		silent = 1
	}
	return fmt.Sprintf("%d %d %d %d %s", a.At.UnixNano(), a.Took, a.Status, silent, strconv.Quote(a.Error))
}

// parseHistory passes over lines that it cannot read: they are for people only.
func parseHistory(s string) []Attempt {
	var history []Attempt
	for line := range strings.Lines(s) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		if len(f) < 5 {
			continue
		}
		at, err1 := parseTime(f[0])
		took, err2 := strconv.ParseInt(f[1], 10, 64)
		status, err3 := strconv.Atoi(f[2])
		text, err4 := strconv.Unquote(f[4])
		if errors.Join(err1, err2, err3, err4) == nil {
			history = append(history, Attempt{At: at, Took: time.Duration(took), Status: status, Error: text, Silent: f[3] == "1"})
		}
	}
	return history
}

// tomb is what is written of a message's death.
type tomb struct {
	died   time.Time
	reason string
	answer []byte // nil for none
}

// parseTomb reads as much as it can: it is for people only.
func parseTomb(s string) tomb {
	at, rest, _ := strings.Cut(s, " ")
	length, rest, _ := strings.Cut(rest, " ")
	ms, err1 := strconv.ParseInt(at, 10, 64)
	n, err2 := strconv.Atoi(length)
	if err1 != nil || err2 != nil || n < 0 || n > len(rest) {
		return tomb{reason: s}
	}
	t := tomb{died: time.UnixMilli(ms).UTC(), reason: rest[:n]}
	if n < len(rest) {
		t.answer = []byte(rest[n:])
	}
	return t
}
