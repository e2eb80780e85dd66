package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// clean keeps from a terminal what would move its cursor, or worse: names and errors come from elsewhere.
func clean(s string) string {
	if !strings.ContainsFunc(s, hostile) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hostile(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

// count groups digits by thousands.
func count[T ~int | ~int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural counts things.
func plural[T ~int | ~int64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

func letters(n int) string { return plural(n, "dead letter", "dead letters") }

// bytesOf tells a size; a KB is 1024 bytes, as in the configuration.
func bytesOf[T ~int | ~int64](n T) string {
	v, unit := float64(n), 0
	for units := len(byteUnits) - 1; v >= 1000 && unit < units; unit++ {
		v /= 1024
	}
	if unit == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, byteUnits[unit])
	}
	return fmt.Sprintf("%.1f %s", v, byteUnits[unit])
}

var byteUnits = [...]string{"B", "KB", "MB", "GB", "TB"}

// span tells a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// took tells how long something has taken.
func took(s float64) string {
	switch d := seconds(s); {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 90*time.Second:
		return fmt.Sprintf("%.1f s", s)
	default:
		return span(d)
	}
}

func (a *app) ago(t time.Time) string {
	if d := a.now().Sub(t); d >= time.Second {
		return span(d) + " ago"
	}
	return "just now"
}

// until tells how far off a time is; "" for none.
func (a *app) until(t *time.Time) string {
	if t == nil {
		return ""
	}
	if d := t.Sub(a.now()); d >= time.Second {
		return "in " + span(d)
	}
	return "now"
}

// clock tells a time where its reader is.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

// rate is that of the last minute, of one value each ten seconds.
func rate(series []float64) string {
	last := series[max(0, len(series)-6):]
	if len(last) == 0 {
		return "0"
	}
	sum := 0.0
	for _, v := range last {
		sum += v
	}
	switch v := sum / float64(len(last)); {
	case v == 0:
		return "0"
	case v < 0.1:
		return "<0.1"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return count(int(v + 0.5))
	}
}

// outcome says in a few words how an attempt ended.
func outcome(at *admin.Attempt) string {
	switch {
	case at.Error != "":
		return at.Error
	case at.Status != 0:
		return strconv.Itoa(at.Status)
	}
	return "no answer"
}

func lastOutcome(m *admin.Message) string {
	if len(m.History) == 0 {
		return ""
	}
	return outcome(&m.History[len(m.History)-1])
}

// key names a message to replay, drop and explain.
func key(m *admin.Message) string { return m.ID + "." + strconv.Itoa(m.Dest) }
