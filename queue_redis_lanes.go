package repeater

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisRegistry remembers which lanes are known to be in the registry, a sorted set in
// a slot of its own. It forgets, so that a registry that got lost fills again.
type redisRegistry struct {
	mu    sync.Mutex
	added map[string]time.Time
}

const (
	registryFor = 30 * time.Second
	registryMax = 20_000 // lanes remembered
)

// missing returns those of lanes that are not remembered.
func (r *redisRegistry) missing(lanes []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []string
	for _, name := range lanes {
		if t, ok := r.added[name]; !ok || time.Since(t) > registryFor {
			missing = append(missing, name)
		}
	}
	return missing
}

func (r *redisRegistry) remember(lanes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.added == nil || len(r.added)+len(lanes) > registryMax {
		r.added = make(map[string]time.Time)
	}
	for _, name := range lanes {
		r.added[name] = time.Now()
	}
}

func (q *redisQueue) registryKey() string { return q.prefix + "lanes" }

// register makes lanes findable before anything is stored in them.
func (q *redisQueue) register(ctx context.Context, lanes []string) error {
	missing := q.registry.missing(lanes)
	if len(missing) == 0 {
		return nil
	}
	members := make([]any, len(missing))
	for i, name := range missing {
		members[i] = name
	}
	if err := q.lua.Register.Run(ctx, q.client, []string{q.registryKey()}, members...).Err(); err != nil {
		return err
	}
	q.registry.remember(missing)
	return nil
}

func (q *redisQueue) Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return nil, err
	}
	if after == "" {
		q.sweepOutbox(ctx)
	}
	var infos []LaneInfo
	for {
		names, err := q.registered(ctx, after)
		if err != nil {
			return nil, q.wrap(ctx, "lanes", err)
		}
		page, err := q.laneInfos(ctx, names)
		if err != nil {
			return nil, q.wrap(ctx, "lanes", err)
		}
		for _, info := range page {
			if info.Waiting+info.Dead == 0 && !info.Paused {
				continue
			}
			if infos = append(infos, info); len(infos) == max {
				return infos, nil
			}
		}
		if len(names) < lanesChunk {
			return infos, nil
		}
		after = names[len(names)-1]
	}
}

// lanesChunk is how many lanes are read in one pipeline.
const lanesChunk = 500

// registered returns the names of a chunk of lanes, sorted.
func (q *redisQueue) registered(ctx context.Context, after string) ([]string, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	return q.client.ZRangeByLex(ctx, q.registryKey(), &redis.ZRangeBy{Min: from, Max: "+", Count: lanesChunk}).Result()
}

func (q *redisQueue) laneInfos(ctx context.Context, names []string) ([]LaneInfo, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pipe := q.client.Pipeline()
	clock := pipe.Time(ctx)
	states := make([]*redis.SliceCmd, len(names))
	for i, name := range names {
		key := q.laneKeys(name, "state")[0]
		states[i] = pipe.HMGet(ctx, key, "waiting", "parked", "bytes", "dead", "failures", "pause", "token", "until", "refusals", "paused")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	infos := make([]LaneInfo, len(names))
	for i, name := range names {
		infos[i] = readLaneInfo(name, states[i].Val(), clock.Val().UnixMilli())
		q.sizes.set(name, infos[i].Waiting, infos[i].Bytes)
	}
	return infos, nil
}

func readLaneInfo(name string, f []any, now int64) LaneInfo {
	n := func(i int) int64 {
		v, _ := strconv.ParseInt(replyText(f, i), 10, 64)
		return v
	}
	return LaneInfo{
		Name:     name,
		Waiting:  int(n(0)),
		Parked:   int(n(1)),
		Bytes:    n(2),
		Dead:     int(n(3)),
		Failures: int(n(4)),
		Refusals: int(n(8)),
		Paused:   replyText(f, 9) != "",
		Wait:     time.Duration(max(0, n(5)-now)) * time.Millisecond,
		Held:     replyText(f, 6) != "" && n(7) > now,
	}
}

// redisOrders are the names of orders in steer.lua.
var redisOrders = map[LaneOrder]string{LanePause: "pause", LaneResume: "resume", LaneRetryNow: "now", LaneForgive: "forgive"}

func (q *redisQueue) Steer(ctx context.Context, lane string, order LaneOrder) error {
	name, ok := redisOrders[order]
	if !ok || lane == "" || len(lane) > maxLane {
		return fmt.Errorf("steer %q: unknown order %d, or no lane's name", lane, order)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := q.register(ctx, []string{lane})
	if err == nil {
		err = q.runSafe(ctx, q.lua.Steer, q.laneKeys(lane, "state"), name, Forgiven, q.channel(), lane).Err()
	}
	if err != nil {
		return q.wrap(ctx, "steer "+lane, err)
	}
	return nil
}
