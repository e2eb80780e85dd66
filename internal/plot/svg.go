package plot

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// panel is one pair of axes with what is drawn between them.
type panel struct {
	x, y   axis
	height float64
	series []series
}

type axis struct {
	label string
	log   bool
	ticks []float64 // nil for round ones
}

type series struct {
	name   string
	x, y   []float64
	colour int
	dashed bool
}

const (
	width       = 760
	left, right = 64, 150 // beside a panel; the names of the series stand to the right
	top, bottom = 52, 58  // above the first panel, and below each
	line        = 15      // of text
)

// The page may be light or dark, whatever the reader's system prefers, so the picture has a ground of its own.
const style = `<style>
.ground{fill:#fff}text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold}
.grid{stroke:#d0d7de}.axis{stroke:#57606a}.line{fill:none;stroke-width:2}.dashed{stroke-dasharray:6 4}
.c0{stroke:#0969da}.c1{stroke:#bc4c00}.c2{stroke:#6e7781}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#8b949e}
.c0{stroke:#58a6ff}.c1{stroke:#f0883e}.c2{stroke:#8b949e}}
</style>
`

func draw(title string, panels ...panel) []byte {
	total := float64(top)
	for _, p := range panels {
		total += p.height + bottom
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" role=\"img\">\n<title>%s</title>\n%s",
		width, total, html.EscapeString(title), style)
	fmt.Fprintf(&b, "<rect class=\"ground\" width=\"%d\" height=\"%.0f\"/>\n", width, total)
	fmt.Fprintf(&b, "<text class=\"title\" x=\"12\" y=\"22\">%s</text>\n", html.EscapeString(title))
	at := float64(top)
	for _, p := range panels {
		p.draw(&b, at)
		at += p.height + bottom
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (p panel) draw(b *bytes.Buffer, at float64) {
	xs, ys := slices.Clone(p.x.ticks), slices.Clone(p.y.ticks)
	for _, s := range p.series {
		xs, ys = append(xs, s.x...), append(ys, s.y...)
	}
	x := newScale(p.x, xs, left, width-right)
	y := newScale(p.y, ys, at+p.height, at)
	for _, v := range y.ticks {
		fmt.Fprintf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", left, y.at(v), width-right)
		text(b, left-8, y.at(v)+4, "end", number(v))
	}
	for _, v := range x.ticks {
		fmt.Fprintf(b, "<path class=\"axis\" d=\"M%.1f %.1fv5\"/>\n", x.at(v), at+p.height)
		text(b, x.at(v), at+p.height+5+line, "middle", number(v))
	}
	fmt.Fprintf(b, "<path class=\"axis\" d=\"M%d %.1fH%d\"/>\n", left, at+p.height, width-right)
	text(b, left-8, at-14, "end", p.y.label)
	text(b, (left+width-right)/2, at+p.height+8+2*line, "middle", p.x.label)
	for _, s := range p.series {
		s.draw(b, x, y)
	}
	p.names(b, y)
}

func (s series) draw(b *bytes.Buffer, x, y scale) {
	class := fmt.Sprintf("line c%d", s.colour)
	if s.dashed {
		class += " dashed"
	}
	var points []string
	for i := range s.x {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(s.x[i]), y.at(s.y[i])))
	}
	fmt.Fprintf(b, "<polyline class=\"%s\" points=\"%s\"/>\n", class, strings.Join(points, " "))
}

// names writes each series' name where its line ends, or a little below where others end there, too.
func (p panel) names(b *bytes.Buffer, y scale) {
	end := func(s series) float64 { return y.at(s.y[len(s.y)-1]) }
	ordered := slices.SortedStableFunc(slices.Values(p.series), func(a, b series) int { return cmp.Compare(end(a), end(b)) })
	places := make([]float64, len(ordered))
	for i, s := range ordered {
		places[i] = end(s)
		if i > 0 {
			places[i] = max(places[i], places[i-1]+line)
		}
	}
	lowest := y.from
	for i := len(places) - 1; i >= 0; i-- { // and up again, off the axis
		places[i] = min(places[i], lowest)
		lowest = places[i] - line
	}
	for i, s := range ordered {
		text(b, width-right+8, places[i]+4, "start", s.name)
	}
}

func text(b *bytes.Buffer, x, y float64, anchor, s string) {
	if s != "" {
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(s))
	}
}

// scale maps values to places.
type scale struct {
	log      bool
	low, top float64 // values
	from, to float64 // places
	ticks    []float64
}

func newScale(a axis, values []float64, from, to float64) scale {
	s := scale{log: a.log, low: slices.Min(values), top: slices.Max(values), from: from, to: to, ticks: a.ticks}
	switch {
	case s.ticks != nil:
		return s
	case a.log:
		s.ticks = logTicks(s.low, s.top)
	default:
		s.ticks = linearTicks(s.top)
	}
	s.low, s.top = s.ticks[0], s.ticks[len(s.ticks)-1]
	return s
}

func (s scale) at(v float64) float64 {
	low, top := s.low, s.top
	if s.log {
		v, low, top = math.Log(v), math.Log(low), math.Log(top)
	}
	return s.from + (s.to-s.from)*(v-low)/(top-low)
}

// logTicks are 1, 2 and 5 of each decade, from the last one at or below low to the first at or above top.
func logTicks(low, top float64) (ticks []float64) {
	for decade := math.Floor(math.Log10(low)); ; decade++ {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, decade)
			if v <= low {
				ticks = ticks[:0]
			}
			ticks = append(ticks, v)
			if v >= top {
				return ticks
			}
		}
	}
}

// linearTicks are four to eight round numbers from 0 to the first at or above top.
func linearTicks(top float64) (ticks []float64) {
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for _, part := range []float64{0.2, 0.5, 1} {
		if top <= 7*part*step {
			step *= part
			break
		}
	}
	for i := 0.0; ; i++ {
		ticks = append(ticks, i*step)
		if i*step >= top {
			return ticks
		}
	}
}

// number writes a tick, with commas where there are thousands.
func number(v float64) string {
	digits := strconv.FormatFloat(v, 'g', 10, 64)
	for i := len(digits) - 3; i > 0 && v >= 1000; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
