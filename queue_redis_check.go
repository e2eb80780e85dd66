package repeater

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrUnsafe means that Redis may lose what it has acknowledged, or that this cannot be checked. See
// [WithRedisStrict].
var ErrUnsafe = errors.New("redis may lose what it has acknowledged")

// redisCheck is what is known of how safe Redis is set up to be.
type redisCheck struct {
	strict bool
	log    *slog.Logger // nil for none

	passed atomic.Bool // or, unless strict, at least made
	said   atomic.Bool
}

// checkFor is how long a check may hold up who opens the store.
const checkFor = 3 * time.Second

// Open checks how safe Redis is set up to be, and says so once. That Redis cannot be reached
// is no error: the check is made up for later.
func (q *redisQueue) Open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	if err := q.checkNow(ctx); errors.Is(err, ErrUnsafe) {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// checked returns an error as long as no check was passed.
func (q *redisQueue) checked(ctx context.Context) error {
	if q.check.passed.Load() {
		return nil
	}
	return q.checkNow(ctx)
}

func (q *redisQueue) checkNow(ctx context.Context) error {
	risks, err := q.risks(ctx)
	if err != nil {
		return err
	}
	why := strings.Join(risks, "; ")
	if q.check.strict && why != "" {
		q.check.passed.Store(false)
		return fmt.Errorf("%w: %s", ErrUnsafe, why)
	}
	q.check.passed.Store(true)
	if why != "" && q.check.log != nil && q.check.said.CompareAndSwap(false, true) {
		q.check.log.Warn("Redis may lose what it has acknowledged", "why", why)
	}
	return nil
}

// risks asks every primary, and names each risk once.
func (q *redisQueue) risks(ctx context.Context) ([]string, error) {
	c, ok := q.client.(*redis.ClusterClient)
	if !ok {
		return redisRisks(ctx, q.client)
	}
	var mu sync.Mutex
	var all []string
	err := c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		risks, err := redisRisks(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, risks...)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

// redisRisks returns an error only when the server has not answered the question.
func redisRisks(ctx context.Context, node redis.Cmdable) ([]string, error) {
	set, err := redisSettings(ctx, node)
	if err != nil {
		return nil, err
	}
	var risks []string
	for _, want := range []struct{ name, value, risk string }{
		{"maxmemory-policy", "noeviction", "when its memory is full it throws messages away"},
		{"appendonly", "yes", "a crash of Redis loses what it has stored since its last snapshot"},
		{"appendfsync", "always", "a power loss loses the last second or more"},
	} {
		switch is, known := set[want.name]; {
		case !known:
			risks = append(risks, want.name+" cannot be checked, as Redis does not tell it")
		case is != want.value && (want.name != "appendfsync" || set["appendonly"] != "no"):
			risks = append(risks, fmt.Sprintf("%s is %q, not %q: %s", want.name, is, want.value, want.risk))
		}
	}
	return risks, nil
}

// redisSettings leaves out what it may not see. Hosted servers often refuse CONFIG.
func redisSettings(ctx context.Context, node redis.Cmdable) (map[string]string, error) {
	set, err := node.ConfigGet(ctx, "append*").Result()
	if err == nil {
		var policy map[string]string
		policy, err = node.ConfigGet(ctx, "maxmemory-policy").Result()
		for name, value := range policy {
			set[name] = value
		}
	}
	if err == nil || !isRefusal(err) {
		return set, err
	}
	set = make(map[string]string)
	for _, section := range []string{"memory", "persistence"} {
		info, err := node.Info(ctx, section).Result()
		if err != nil && !isRefusal(err) {
			return nil, err
		}
		readRedisInfo(set, info)
	}
	return set, nil
}

// readRedisInfo notes the settings that INFO tells of.
func readRedisInfo(set map[string]string, info string) {
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case name == "maxmemory_policy":
			set["maxmemory-policy"] = value
		case name == "aof_enabled" && value == "1":
			set["appendonly"] = "yes"
		case name == "aof_enabled":
			set["appendonly"] = "no"
		}
	}
}

// isRefusal tells a server that does not want to answer from one that cannot yet.
func isRefusal(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, passing := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS"} {
		if redis.HasErrorPrefix(err, passing) {
			return false
		}
	}
	return true
}
