package repeater

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// describe tells what was configured, without paths, URLs and secrets: of those the fingerprint has
// only how many there are, as from a sum of them a short one could be guessed.
func (c *config) describe() admin.Config {
	sum := sha256.New()
	store := defaultFile
	if len(c.stores) > 0 {
		store = c.stores[0].name
	}
	fmt.Fprintln(sum, store, c.first, c.max, c.drain, c.pushTimeout, c.maxBody, c.maxHeader, c.readTimeout, c.proxies, c.orphanAge,
		c.keepDead, c.bound, c.timeouts, c.doorMemory, c.laneMemory, c.redis.prefix, c.redis.strict, c.redis.replicas, c.redis.wait,
		c.diskFloor, c.allowTo, c.quickRetries, len(c.sealing))
	routes := make([]admin.Route, len(c.routes))
	for i, rt := range c.routes {
		rt.write(sum)
		routes[i].Name = rt.name
		for _, d := range rt.dests {
			routes[i].Lanes = append(routes[i].Lanes, d.lane)
		}
	}
	return admin.Config{Fingerprint: hex.EncodeToString(sum.Sum(nil)[:8]), Routes: routes}
}

func (rt *route) write(w io.Writer) {
	fmt.Fprintf(w, "%q %v %v %v %v %v %v %v %v %v %v %v %v %v %v %v\n", rt.name, rt.keepPath, rt.keepHost, rt.allow, rt.md5 != nil, len(rt.sign),
		rt.verifier != nil, len(rt.handshakes), rt.h2c, rt.tls != nil, rt.maxAge, rt.maxAttempts, rt.orderBy != nil, rt.dedupe, rt.dedupeFor, rt.passThrough)
	for _, d := range rt.dests {
		fmt.Fprintf(w, "%q\n", d.lane)
	}
	fmt.Fprintf(w, "%+v\n", rt.lane)
}
