package bench

import (
	"encoding/json"
	"runtime"
	"slices"
	"time"
)

// The rows of the report, by name.
const (
	rowBare  = "net/http: reads and answers, nothing else"
	rowProxy = "httputil.ReverseProxy: forwards, stores nothing"

	rowDown              = "accepted, destination down"
	rowDrained           = "drained, in order"
	rowAccepted          = "accepted while delivering in order"
	rowDelivered         = "delivered in order"
	rowAcceptedParallel  = "accepted while delivering 64 at a time"
	rowDeliveredParallel = "delivered 64 at a time"

	rowSync     = "fsync of 4 KiB in the store's directory"
	rowAnswer   = "sender has its answer"
	rowEndToEnd = "destination has the request"
)

// Report is what was measured.
type Report struct {
	Machine      Machine   `json:"machine"`
	Store        string    `json:"store"`
	Requests     int       `json:"requests"`
	Connections  int       `json:"connections"`
	Size         int       `json:"size_bytes"`
	Rate         float64   `json:"rate_per_s"`
	Runs         int       `json:"runs"`
	Throughput   []Rate    `json:"throughput"`
	Latency      []Latency `json:"latency"`
	Acknowledged int       `json:"acknowledged"`
	Refused      int64     `json:"refused"`      // requests without a 2xx
	Lost         int       `json:"lost"`         // acknowledged, and not delivered
	Disorder     int       `json:"out_of_order"` // where order was promised
	Twice        int       `json:"twice"`        // delivered more than once
	Notes        []string  `json:"notes,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// Rate is a row of the first table.
type Rate struct {
	Name      string `json:"name"`
	PerSecond Values `json:"per_s"`
	CPU       Values `json:"cpu_us_per_request,omitempty"` // of the server; nil where it cannot be had
}

// Latency is a row of the second table, in milliseconds.
type Latency struct {
	Name string `json:"name"`
	P50  Values `json:"p50_ms"`
	P99  Values `json:"p99_ms"`
}

// Values are one figure of each run.
type Values []float64

// Median is the middle one, or the mean of the two in the middle.
func (v Values) Median() float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// MarshalJSON writes what the table shows.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(map[string]float64{"median": v.Median(), "min": slices.Min(v), "max": slices.Max(v)})
}

func newReport(o Options) *Report {
	r := &Report{
		Machine:  Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()},
		Store:    "file",
		Requests: o.Requests, Connections: o.Connections, Size: o.Size, Rate: o.Rate, Runs: o.Runs,
	}
	if o.Redis != "" {
		r.Store = "redis"
	}
	return r
}

// OK says that nothing was lost, and nothing out of order.
func (r *Report) OK() bool { return r.Lost == 0 && r.Disorder == 0 }

// rate adds one run's figure; a cpu of 0 is not known.
func (r *Report) rate(name string, perSecond, cpu float64) {
	i := slices.IndexFunc(r.Throughput, func(row Rate) bool { return row.Name == name })
	if i < 0 {
		i = len(r.Throughput)
		r.Throughput = append(r.Throughput, Rate{Name: name})
	}
	row := &r.Throughput[i]
	row.PerSecond = append(row.PerSecond, perSecond)
	if cpu > 0 {
		row.CPU = append(row.CPU, cpu)
	}
}

func (r *Report) latency(name string, took []time.Duration) {
	i := slices.IndexFunc(r.Latency, func(row Latency) bool { return row.Name == name })
	if i < 0 {
		i = len(r.Latency)
		r.Latency = append(r.Latency, Latency{Name: name})
	}
	row, q := &r.Latency[i], quantiles(took, 0.5, 0.99)
	row.P50, row.P99 = append(row.P50, q[0]), append(row.P99, q[1])
}

func (r *Report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}
