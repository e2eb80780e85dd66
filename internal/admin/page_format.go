package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// moment is a time, and how a person calls it.
type moment struct {
	At   time.Time
	Text string
}

// measure is an amount: rounded for the eye, and exact for the pointer.
type measure struct{ Text, Exact string }

func iso(t time.Time) string   { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
func exact(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006, 15:04:05.000 UTC") }

// ago says how long before now t was.
func ago(now, t time.Time) moment {
	d := now.Sub(t).Truncate(time.Second)
	if d <= 0 {
		return moment{t, "just now"}
	}
	return moment{t, duration(d) + " ago"}
}

// until says in how long t will be.
func until(now, t time.Time) moment {
	d := t.Sub(now)
	if d <= 0 {
		return moment{t, "now"}
	}
	return moment{t, "in " + duration(max(d.Truncate(time.Second), time.Second))}
}

// stamp is the time of day, with the date if it is not today's.
func stamp(now, t time.Time) moment {
	now, t = now.UTC(), t.UTC()
	if now.YearDay() == t.YearDay() && now.Year() == t.Year() {
		return moment{t, t.Format("15:04:05")}
	}
	return moment{t, t.Format("2 Jan 15:04:05")}
}

// duration says d in at most two units: "850 ms", "3 min 20 s", "2 d 4 h".
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second >= 100*time.Millisecond:
		return strconv.FormatFloat(math.Floor(d.Seconds()*10)/10, 'f', 1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return units(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "min")
	}
	return units(d, 24*time.Hour, "d", time.Hour, "h")
}

func units(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}

// span is a duration in seconds; whole ones only from a second on, as it is shown while it grows.
func span(seconds float64) measure {
	d := time.Duration(seconds * float64(time.Second))
	exactly := strconv.FormatFloat(seconds, 'f', -1, 64) + " s"
	if d > time.Second {
		d = d.Truncate(time.Second)
	}
	return measure{duration(d), exactly}
}

// took is the duration of an attempt, in seconds.
func took(seconds float64) measure {
	return measure{duration(time.Duration(seconds * float64(time.Second))), strconv.FormatFloat(seconds, 'f', -1, 64) + " s"}
}

// number is n with commas.
func number(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// plural is n and what it counts: plural(2, "message") is "2 messages".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return number(n) + " " + word + "s"
}

// size is a number of bytes.
func size(n int64) measure {
	exactly := number(int(n)) + " bytes"
	if n < 1024 {
		return measure{number(int(n)) + " B", exactly}
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		v /= 1024
		if v < 1023.95 || unit == "TiB" {
			return measure{strconv.FormatFloat(v, 'f', 1, 64) + " " + unit, exactly}
		}
	}
	return measure{exactly, exactly}
}

// rate is a number per second.
func rate(v float64) measure {
	exactly := strconv.FormatFloat(v, 'f', -1, 64) + " per second"
	switch {
	case v <= 0 || math.IsNaN(v):
		return measure{"0", "0 per second"}
	case v < 0.05:
		return measure{"<0.1", exactly}
	case v < 9.95:
		return measure{strconv.FormatFloat(v, 'f', 1, 64), exactly}
	}
	return measure{number(int(math.Round(v))), exactly}
}

// pieces cuts a lane's name where a line may end.
func pieces(name string) []string {
	var all []string
	for name != "" {
		end := strings.IndexAny(name, "./:-_@ ")
		for end >= 0 && end+1 < len(name) && strings.IndexByte("./:-_@ ", name[end+1]) >= 0 {
			end++
		}
		if end < 0 {
			end = len(name) - 1
		}
		all = append(all, name[:end+1])
		name = name[end+1:]
	}
	return all
}

func last[T any](values []T) (v T) {
	if len(values) > 0 {
		v = values[len(values)-1]
	}
	return v
}
