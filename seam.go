package repeater

import "github.com/webhook-repeater/repeater/internal/seam"

func init() {
	seam.Option = func(s seam.Sources) any {
		return Option(func(c *config) { c.clock, c.random = s.Clock, s.Random })
	}
}
