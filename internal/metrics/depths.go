package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Depth is what a lane holds, and how it is.
type Depth struct {
	Name     string
	Messages int
	Parked   int
	Bytes    int64
	Dead     int
	State    string        // one of States
	Oldest   time.Duration // age of the oldest message that waits; negative where the store cannot tell
}

// States are the words for how a lane is.
var States = []string{"well", "unwell", "failing", "refusing", "paused", "behind"}

// Look returns all lanes that hold something.
type Look func(context.Context) ([]Depth, error)

// lookFor bounds a collection: Prometheus waits for 10 s by default.
const lookFor = 5 * time.Second

// depths asks for the lanes at each collection.
type depths struct{ look Look }

var (
	descUp       = prometheus.NewDesc("repeater_store_up", "Whether the store answered when these metrics were collected.", nil, nil)
	descMessages = laneDesc("repeater_lane_messages", "Messages that wait, those in hand included.")
	descParked   = laneDesc("repeater_lane_parked_messages", "Of the waiting messages, those set aside because no process here knows their route.")
	descBytes    = laneDesc("repeater_lane_bytes", "Bytes of the waiting messages.")
	descDead     = laneDesc("repeater_lane_dead_letters", "Dead letters that are kept.")
	descOldest   = laneDesc("repeater_lane_oldest_seconds", "Age of the oldest message that waits; 0 where none does.")
	descState    = laneDesc("repeater_lane_state", "1 for how the lane is: well, unwell, failing, refusing, paused or behind. What this process alone has seen (failing, behind) it alone tells.", "state")
)

func laneDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"lane"}, more...), nil)
}

func (depths) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descMessages, descParked, descBytes, descDead, descOldest, descState} {
		ch <- d
	}
}

func (d depths) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	lanes, err := d.look(ctx)
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	gauge(descUp, number(err == nil))
	if err != nil {
		return // half of the lanes would look like the others being empty
	}
	for _, l := range lanes {
		l.Name = valid(l.Name)
		gauge(descMessages, float64(l.Messages), l.Name)
		gauge(descParked, float64(l.Parked), l.Name)
		gauge(descBytes, float64(l.Bytes), l.Name)
		gauge(descDead, float64(l.Dead), l.Name)
		if l.Oldest >= 0 {
			gauge(descOldest, l.Oldest.Seconds(), l.Name)
		}
		for _, state := range States {
			gauge(descState, number(state == l.State), l.Name, state)
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
