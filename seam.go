package repeater

import (
	"context"

	"github.com/webhook-repeater/repeater/internal/seam"
)

func init() {
	seam.Option = func(s seam.Sources) any {
		return Option(func(c *config) { c.clock, c.random = s.Clock, s.Random })
	}
	seam.Refuses = func(address string, allowTo []string) error {
		var c config
		if len(allowTo) > 0 {
			AllowTo(allowTo...)(&c)
		}
		return c.allowTo.guard(context.Background(), "", address, nil)
	}
	seam.DiskFree = diskFree
}
