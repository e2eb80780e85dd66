// Package plot draws the charts of docs/performance.md from the measurements beside them.
package plot

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// Files are the measurements in docs/performance, and what draws each.
var Files = map[string]func(io.Reader) ([]byte, error){
	"latency.csv": latency,
	"backlog.csv": backlog,
}

func latency(r io.Reader) ([]byte, error) {
	columns, err := read(r, "rate", "answer_p50_ms", "answer_p99_ms", "delivered_p50_ms", "delivered_p99_ms", "proxy_p50_ms", "proxy_p99_ms")
	if err != nil {
		return nil, err
	}
	rate := columns[0]
	return draw("Latency against offered load: file store, 1 KiB, 64 connections, 2 CPUs for senders, repeater and destination", panel{
		x:      axis{label: "requests a second, offered", log: true, ticks: []float64{250, 500, 1000, 2000, 4000, 8000, 16_000}},
		y:      axis{label: "ms", log: true},
		height: 300,
		series: []series{
			{name: "delivered, p99", x: rate, y: columns[4], colour: 0},
			{name: "answered, p99", x: rate, y: columns[2], colour: 1},
			{name: "ReverseProxy, p99", x: rate, y: columns[6], colour: 2},
			{name: "delivered, p50", x: rate, y: columns[3], colour: 0, dashed: true},
			{name: "answered, p50", x: rate, y: columns[1], colour: 1, dashed: true},
			{name: "ReverseProxy, p50", x: rate, y: columns[5], colour: 2, dashed: true},
		},
	}), nil
}

func backlog(r io.Reader) ([]byte, error) {
	columns, err := read(r, "waiting", "heap_mib", "disk_mib")
	if err != nil {
		return nil, err
	}
	waiting := columns[0]
	x := axis{label: "requests waiting", ticks: []float64{0, 200_000, 400_000, 600_000, 800_000, 1_000_000}}
	return draw("Heap and disk against backlog: file store, bodies of 1 KiB",
		panel{x: axis{ticks: x.ticks}, y: axis{label: "heap, MiB"}, height: 150, series: []series{{name: "heap", x: waiting, y: columns[1], colour: 0}}},
		panel{x: x, y: axis{label: "disk, MiB"}, height: 150, series: []series{{name: "disk", x: waiting, y: columns[2], colour: 1}}},
	), nil
}

// read returns columns of numbers, which must have these heads. Lines that begin with "#" are comments.
func read(r io.Reader, heads ...string) (columns [][]float64, err error) {
	in := csv.NewReader(r)
	in.Comment = '#'
	in.FieldsPerRecord = len(heads)
	rows, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 3 {
		return nil, fmt.Errorf("%d lines are no measurement", len(rows))
	}
	columns = make([][]float64, len(heads))
	for i, head := range heads {
		if rows[0][i] != head {
			return nil, fmt.Errorf("column %d is %q, not %q", i+1, rows[0][i], head)
		}
		for _, row := range rows[1:] {
			v, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				return nil, err
			}
			columns[i] = append(columns[i], v)
		}
	}
	return columns, nil
}
