package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s store, %s/%s, %d CPUs, %s\n", r.Store, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.Go)
	fmt.Fprintf(&b, "%s requests of %s bytes over %d connections", grouped(float64(r.Requests)), grouped(float64(r.Size)), r.Connections)
	if r.Runs > 1 {
		fmt.Fprintf(&b, ", medians of %d runs with the least and the most", r.Runs)
	}
	b.WriteString("\n\n")
	align(&b, r.rates())
	b.WriteString("\n")
	align(&b, r.latencies())
	fmt.Fprintf(&b, "\n%s acknowledged by the repeater: %d lost, %d out of order, %d delivered twice. %d requests got no 2xx.\n",
		grouped(float64(r.Acknowledged)), r.Lost, r.Disorder, r.Twice, r.Refused)
	for _, n := range r.Notes {
		fmt.Fprintln(&b, "Note:", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rates is the first table. The shares are of what the references reach.
func (r *Report) rates() [][]string {
	withCPU := slices.ContainsFunc(r.Throughput, func(row Rate) bool { return row.CPU != nil })
	head := append([]string{""}, r.columns("requests/s")...)
	if withCPU {
		head = append(head, "CPU µs each")
	}
	rows := [][]string{append(head, "of net/http", "of ReverseProxy")}
	for _, row := range r.Throughput {
		line := append([]string{row.Name}, r.spread(row.PerSecond, grouped)...)
		if withCPU {
			cpu := ""
			if row.CPU != nil {
				cpu = grouped(row.CPU.Median())
			}
			line = append(line, cpu)
		}
		rows = append(rows, append(line, r.share(row, rowBare), r.share(row, rowProxy)))
	}
	return rows
}

func (r *Report) share(row Rate, of string) string {
	for _, reference := range r.Throughput {
		if m := reference.PerSecond.Median(); reference.Name == of && m > 0 {
			return strconv.FormatFloat(row.PerSecond.Median()/m, 'f', 2, 64)
		}
	}
	return ""
}

// latencies is the second table.
func (r *Report) latencies() [][]string {
	head := append([]string{fmt.Sprintf("at %s requests/s", grouped(r.Rate))}, r.columns("p50 ms")...)
	rows := [][]string{append(head, r.columns("p99 ms")...)}
	for _, row := range r.Latency {
		line := append([]string{row.Name}, r.spread(row.P50, millis)...)
		rows = append(rows, append(line, r.spread(row.P99, millis)...))
	}
	return rows
}

// columns are the heads of what spread returns.
func (r *Report) columns(name string) []string {
	if r.Runs == 1 {
		return []string{name}
	}
	return []string{name, "least", "most"}
}

func (r *Report) spread(v Values, format func(float64) string) []string {
	if r.Runs == 1 {
		return []string{format(v.Median())}
	}
	return []string{format(v.Median()), format(slices.Min(v)), format(slices.Max(v))}
}

func millis(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// grouped writes a whole number with commas.
func grouped(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if left := len(digits) - i; i > 0 && left%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// align writes rows of one length: the first column to the left, the others to the right.
func align(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				b.WriteString(cell + pad)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteString("\n")
	}
}
