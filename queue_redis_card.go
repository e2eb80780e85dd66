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
	size     int
	crc      uint32
	received time.Time
	route    string
}

// newRedisCard writes a card: attempts, size, checksum, time of receipt, order key, route.
func newRedisCard(b *Batch, m *Message, order string) string {
	return fmt.Sprintf("0 %d %08x %s %s %s",
		len(m.Payload), crc32.Checksum(m.Payload, castagnoli), formatTime(b.Received), order, b.Route)
}

var errRedisCard = errors.New("malformed card")

func readRedisCard(s string) (redisCard, error) {
	f := strings.SplitN(s, " ", 6)
	if len(f) < 6 {
		return redisCard{}, errRedisCard
	}
	attempts, err1 := strconv.Atoi(f[0])
	size, err2 := strconv.Atoi(f[1])
	crc, err3 := strconv.ParseUint(f[2], 16, 32)
	received, err4 := parseTime(f[3])
	if errors.Join(err1, err2, err3, err4) != nil {
		return redisCard{}, errRedisCard
	}
	return redisCard{attempts, size, uint32(crc), received, f[5]}, nil
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
	return fmt.Sprintf("%d %d %d %s", a.At.UnixNano(), a.Took, a.Status, strconv.Quote(a.Error))
}

// parseHistory passes over lines that it cannot read: they are for people only.
func parseHistory(s string) []Attempt {
	var history []Attempt
	for line := range strings.Lines(s) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) < 4 {
			continue
		}
		at, err1 := parseTime(f[0])
		took, err2 := strconv.ParseInt(f[1], 10, 64)
		status, err3 := strconv.Atoi(f[2])
		text, err4 := strconv.Unquote(f[3])
		if errors.Join(err1, err2, err3, err4) == nil {
			history = append(history, Attempt{At: at, Took: time.Duration(took), Status: status, Error: text})
		}
	}
	return history
}

// parseTomb reads when and why a message died.
func parseTomb(s string) (time.Time, string) {
	at, reason, _ := strings.Cut(s, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return time.Time{}, reason
	}
	return time.UnixMilli(ms).UTC(), reason
}
