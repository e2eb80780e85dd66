package repeater_test

import (
	"context"
	"crypto/sha1" // #nosec G505 -- names scripts, as Redis does
	"encoding/hex"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisClock is a clock for what clients do on a real Redis, which takes no time from anybody. Their
// scripts are sent with one thing changed: they read a key of the test's where they ask TIME, and
// note there what they let expire, and when by this clock.
type redisClock struct {
	t         testing.TB
	client    redis.UniversalClient // whose scripts stay as they are
	time      string                // key of seconds and microseconds
	deadlines string                // key of keys that expire

	mu   sync.Mutex
	now  time.Time
	shas map[string]string // of scripts, to those of what is sent instead
}

func newRedisClock(t testing.TB, client redis.UniversalClient, prefix string) *redisClock {
	c := &redisClock{
		t: t, client: client, time: "time:" + sha(prefix), deadlines: "deadlines:" + sha(prefix),
		now: turnedFrom, shas: make(map[string]string),
	}
	c.Sleep(0)
	return c
}

func (c *redisClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// turnClock sets the time, and lets expire what does by then.
var turnClock = redis.NewScript(`
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], ARGV[1], ARGV[2])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1] * 1000 + ARGV[2] / 1000)) do
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], key)
end
return 0`)

func (c *redisClock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	keys := []string{c.time, c.deadlines}
	if err := turnClock.Run(context.Background(), c.client, keys, c.now.Unix(), c.now.Nanosecond()/1000).Err(); err != nil {
		c.t.Errorf("the clock cannot be turned: %v", err)
	}
}

// expiring stands in front of each script. To the server what expires does so in a day.
const expiring = `
local function expiring(key, ms)
  local t = redis.call('LRANGE', TIME, 0, 1)
  redis.call('ZADD', DEADLINES, t[1] * 1000 + t[2] / 1000 + ms, key)
  return 86400000
end
`

var (
	asksServer = regexp.MustCompile(`'TIME'|'P?X'|EXPIRE'`)
	setsExpiry = regexp.MustCompile(`'SET', (\w+), ([^ ,]+), 'PX', ([^)]+)\)`)
	expires    = regexp.MustCompile(`'PEXPIRE', (\w+), (\w+)\)`)
)

// turned is a script that lives by this clock.
func (c *redisClock) turned(script string) string {
	text := setsExpiry.ReplaceAllString(script, "'SET', $1, $2, 'PX', expiring($1, $3))")
	text = expires.ReplaceAllString(text, "'PEXPIRE', $1, expiring($1, $2))")
	text = strings.ReplaceAll(text, "'TIME'", "'LRANGE', TIME, 0, 1")
	if len(asksServer.FindAllString(script, -1)) != strings.Count(text, "TIME,")+strings.Count(text, "expiring(") {
		c.t.Errorf("a script can tell the time in another way:\n%s", script)
	}
	return "local TIME, DEADLINES = '" + c.time + "', '" + c.deadlines + "'" + expiring + text
}

// around is for a hook of each client.
func (c *redisClock) around(_ context.Context, cmds []redis.Cmder, next func() error) error {
	for _, cmd := range cmds {
		c.change(cmd.Name(), cmd.Args())
	}
	err := next()
	for _, cmd := range cmds {
		if told, ok := cmd.(*redis.TimeCmd); ok && told.Err() == nil {
			told.SetVal(c.Now())
		}
	}
	return err
}

// change lets a script be a turned one. A digest not met before is sent as it is: Redis does not know it, and is
// then sent the script.
func (c *redisClock) change(command string, args []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch command {
	case "eval":
		script := args[1].(string)
		text := c.turned(script)
		c.shas[sha(script)], args[1] = sha(text), text
	case "evalsha":
		if other, ok := c.shas[args[1].(string)]; ok {
			args[1] = other
		}
	}
}

func sha(text string) string {
	sum := sha1.Sum([]byte(text)) // #nosec G401 -- names scripts, as Redis does
	return hex.EncodeToString(sum[:])
}
