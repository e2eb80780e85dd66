package admin

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	slots    = 60 // values in ten minutes
	interval = 10 * time.Second
)

// chart is lines over the last ten minutes, in a box of Width by Height, for an inline SVG.
type chart struct {
	Width, Height int
	Max           measure // what the upper edge stands for
	Label         string  // for who does not see it
	Lines         []line
	Slots         []slot // what the pointer is told, each ten seconds
}

type line struct {
	Name   string
	Class  string
	Points string // of a polyline
	Area   string // of the polygon below it
	Now    measure
}

type slot struct {
	X, Width string
	Title    string
}

// series is what a line shows.
type series struct {
	name, class string
	values      []float64
	unit        func(float64) measure
}

// newChart draws all lines to one scale, from zero to least or more; the latest value stands at the right edge.
func newChart(width, height int, least float64, all ...series) chart {
	c := chart{Width: width, Height: height}
	top := least
	for _, s := range all {
		for _, v := range s.values {
			top = max(top, v)
		}
	}
	top = ceiling(top)
	var spoken []string
	for _, s := range all {
		s.values = s.values[max(0, len(s.values)-slots):]
		c.Lines = append(c.Lines, c.draw(s, top))
		spoken = append(spoken, describe(s))
		c.Max = s.unit(top)
	}
	c.Label = strings.Join(spoken, "; ")
	return c
}

// inset keeps a line's thickness inside the box.
const inset = 2

func (c chart) draw(s series, top float64) line {
	l := line{Name: s.name, Class: s.class, Now: s.unit(last(s.values))}
	var points []string
	for i, v := range s.values {
		x := float64(c.Width) * float64(slots-len(s.values)+i) / (slots - 1)
		y := float64(c.Height-inset) - float64(c.Height-2*inset)*v/top
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
	}
	if len(points) == 0 {
		return l
	}
	l.Points = strings.Join(points, " ")
	first, _, _ := strings.Cut(points[0], ",")
	l.Area = fmt.Sprintf("%s,%d %s %d,%d", first, c.Height-inset, l.Points, c.Width, c.Height-inset)
	return l
}

// withSlots adds what the pointer is told.
func (c chart) withSlots(now time.Time, all ...series) chart {
	count := 0
	for _, s := range all {
		count = max(count, len(s.values))
	}
	wide := float64(c.Width) / slots
	for i := max(0, slots-count); i < slots; i++ {
		at := now.Add(-interval * time.Duration(slots-1-i))
		title := at.UTC().Format("15:04:05")
		for _, s := range all {
			if j := i - slots + len(s.values); j >= 0 {
				title += fmt.Sprintf(" · %s %s", s.name, s.unit(s.values[j]).Text)
			}
		}
		c.Slots = append(c.Slots, slot{fmt.Sprintf("%.1f", wide*float64(i)), fmt.Sprintf("%.1f", wide), title})
	}
	return c
}

func describe(s series) string {
	if len(s.values) == 0 {
		return s.name + ": nothing known yet"
	}
	low, high := s.values[0], s.values[0]
	for _, v := range s.values {
		low, high = min(low, v), max(high, v)
	}
	return fmt.Sprintf("%s: %s now, between %s and %s in the last ten minutes",
		s.name, s.unit(last(s.values)).Text, s.unit(low).Text, s.unit(high).Text)
}

// ceiling is the next round number that is not below v, so that a scale moves seldom.
func ceiling(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if v <= step*base {
			return step * base
		}
	}
	return 10 * base
}

func count(v float64) measure { n := number(int(v)); return measure{n, n} }

func floats(ints []int) []float64 {
	out := make([]float64, len(ints))
	for i, n := range ints {
		out[i] = float64(n)
	}
	return out
}
