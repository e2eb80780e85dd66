package sim

import "time"

// seed decides everything. A choice depends on nothing but the seed and its own name: what is chosen,
// for whom, and for the which time. What else happens in the world, or how goroutines are
// scheduled, does not change it.
type seed uint64

func (s seed) bits(what, whom string, n int) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037) ^ uint64(s)*0x9e3779b97f4a7c15
	for _, text := range [...]string{what, whom} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * prime
		}
		h = (h ^ 0xff) * prime // so that "a", "bc" is not "ab", "c"
	}
	h ^= uint64(n) // #nosec G115 -- bits are bits
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// float is from 0 to below 1.
func (s seed) float(what, whom string, n int) float64 {
	return float64(s.bits(what, whom, n)>>11) / (1 << 53)
}

// maybe is true with probability p.
func (s seed) maybe(p float64, what, whom string, n int) bool { return s.float(what, whom, n) < p }

// below is from 0 to limit-1.
func (s seed) below(limit int, what, whom string, n int) int {
	return int(s.bits(what, whom, n) % uint64(limit)) // #nosec G115 -- limits are small
}

// between is a duration to the nanosecond, so that hardly any two are the same.
func (s seed) between(low, high time.Duration, what, whom string, n int) time.Duration {
	return low + time.Duration(s.float(what, whom, n)*float64(high-low))
}

// pick chooses one of several.
func pick[T any](s seed, what, whom string, n int, of ...T) T {
	return of[s.below(len(of), what, whom, n)]
}
