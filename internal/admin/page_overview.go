package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// overviewPage is everything at a glance.
type overviewPage struct {
	Verdict   string
	Level     string // of the worst lane: a state, or "down" or "none"
	Troubled  bool
	Aside     string // what is no trouble, but worth knowing
	Reasons   []string
	Waiting   int
	Dead      int
	Oldest    measure
	Accepted  measure
	Delivered measure
	Spoken    string // for who listens: changes only when a state does
	Lanes     []laneRow
	Routes    []Route
}

// laneRow is one lane, as the overview and its own page tell of it.
type laneRow struct {
	Lane
	Trouble   bool
	Oldest    measure
	Next      *moment
	Accepted  measure
	Delivered measure
	Spark     chart
	Remedy    remedy // the one thing to do about it, if there is one
}

// severity orders the states: who is awake at night looks for the first.
var severity = map[State]int{Unwell: 0, Refusing: 1, Failing: 2, Behind: 3, Paused: 4, Well: 5}

func rank(s State) int {
	if n, ok := severity[s]; ok {
		return n
	}
	return 0 // a state that these pages do not know is no reason for calm
}

func trouble(s State) bool { return rank(s) < severity[Paused] }

func newLaneRow(now time.Time, l Lane) laneRow {
	row := laneRow{
		Lane: l, Trouble: trouble(l.State), Oldest: span(l.OldestAge),
		Accepted: rate(last(l.AcceptedPerSecond)), Delivered: rate(last(l.DeliveredPerSecond)),
		Spark: newChart(120, 28, 10, series{"Waiting", "depth", floats(l.Depth), count}),
	}
	if l.NextAttempt != nil && l.Waiting > 0 && l.State != Paused {
		next := until(now, *l.NextAttempt)
		row.Next = &next
	}
	if all := remedies(l); len(all) > 0 && l.State != Well && l.State != Behind && l.State != Failing && !all[0].Danger {
		row.Remedy = all[0]
		row.Remedy.Back, row.Remedy.Hint, row.Remedy.Main = "overview", "", false
	}
	return row
}

func (s *site) overview(w http.ResponseWriter, r *http.Request) error {
	lanes, err := s.src.Lanes(r.Context())
	if err != nil {
		return err
	}
	body := summarise(s.now(), lanes, s.src.Health(r.Context()))
	body.Routes = s.src.Config().Routes
	return s.render(w, r, http.StatusOK, page{
		Title: body.Verdict, Kind: "overview", Section: "overview", Refresh: refreshEvery,
		Trouble: body.Troubled, Body: body,
	})
}

func summarise(now time.Time, lanes []Lane, health Health) overviewPage {
	var p overviewPage
	var accepted, delivered, oldest float64
	var names []string
	paused := 0
	for _, l := range lanes {
		row := newLaneRow(now, l)
		p.Lanes = append(p.Lanes, row)
		p.Waiting += l.Waiting
		p.Dead += l.Dead
		accepted += last(l.AcceptedPerSecond)
		delivered += last(l.DeliveredPerSecond)
		oldest = max(oldest, l.OldestAge)
		if row.Trouble {
			names = append(names, l.Name+" is "+string(l.State))
		}
		if l.State == Paused {
			paused++
		}
	}
	slices.SortStableFunc(p.Lanes, func(a, b laneRow) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	p.Oldest, p.Accepted, p.Delivered = span(oldest), rate(accepted), rate(delivered)
	p.judge(len(names), paused, health)
	p.Spoken = strings.Join(append([]string{p.Verdict}, names...), ". ") + "."
	return p
}

// judge says in a word or two whether anybody has to get up.
func (p *overviewPage) judge(troubled, paused int, health Health) {
	p.Troubled = troubled > 0 || !health.Ready
	var asides []string
	if paused > 0 {
		p.Level, asides = string(Paused), append(asides, plural(paused, "lane")+" paused")
	}
	p.Verdict = "All well"
	switch trouble := plural(troubled, "lane") + " in trouble"; {
	case !health.Ready:
		p.Level, p.Verdict, p.Reasons = "down", "Not ready", health.Reasons
		if troubled > 0 {
			asides = append([]string{trouble}, asides...)
		}
	case troubled > 0:
		p.Level, p.Verdict = string(p.Lanes[0].State), trouble
	case len(p.Lanes) == 0:
		p.Level, p.Verdict = "none", "No lanes yet"
	}
	p.Aside = strings.Join(asides, ", ")
}
