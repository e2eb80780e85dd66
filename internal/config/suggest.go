package config

// closest returns the word most like s, or "" if none is like it at all.
func closest(s string, words []string) string {
	best, at := "", max(1, len(s)/3)+1
	for _, w := range words {
		if d := distance(s, w); d > 0 && d < at {
			best, at = w, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change, or swap with their
// neighbour, to make b of a.
func distance(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
