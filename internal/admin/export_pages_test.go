package admin

import (
	"net/http"
	"time"
)

// Pages are the pages alone, without what stands before them, at a time of the test's.
func Pages(src Source, o Options, now time.Time) http.Handler {
	return (&site{src: src, opts: o, now: func() time.Time { return now }}).handler()
}

// How amounts are written.
var (
	Duration = duration
	Number   = number
	Ceiling  = ceiling
)

// Size is how a number of bytes is written, and then exactly.
func Size(n int64) [2]string { m := size(n); return [2]string{m.Text, m.Exact} }

// Until and Ago are how a time is called before and after it.
func Until(now, t time.Time) string { return until(now, t).Text }
func Ago(now, t time.Time) string   { return ago(now, t).Text }

// Rate is how a number per second is written.
func Rate(v float64) string { return rate(v).Text }
