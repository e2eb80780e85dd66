package repeater

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisRoutes are the routes this process has announced.
type redisRoutes struct{ set atomic.Pointer[redisRouteSet] }

type redisRouteSet struct {
	version   int64           // changes with known
	learned   int64           // changes with each learnRoutes
	known     map[string]bool // nil before the first Announce: all
	elsewhere map[string]bool // announced by others lately, and not known here
}

func (r *redisRoutes) current() *redisRouteSet {
	if s := r.set.Load(); s != nil {
		return s
	}
	return &redisRouteSet{}
}

func (s *redisRouteSet) knows(route string) bool { return s.known == nil || s.known[route] }

// announcedFor is how long after its last announcement a process still counts as there.
const announcedFor = 30 * time.Second

func (q *redisQueue) routesKey() string { return q.prefix + "{announced}:routes" }

func (q *redisQueue) processesKey() string { return q.prefix + "{announced}:processes" }

// Announce also looks after what a process has left behind in the outbox, and makes up
// for a check that Open could not make.
func (q *redisQueue) Announce(ctx context.Context, routes []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	learned := q.routes.current().learned
	args := make([]any, 0, 5+len(routes))
	args = append(args, millis(announcedFor), millis(processFor), q.share.id, q.share.holds(), digestOf(routes))
	for _, route := range routes {
		args = append(args, route)
	}
	reply, err := q.lua.Announce.Run(ctx, q.client, []string{q.routesKey(), q.processesKey()}, args...).Slice()
	if err != nil {
		return q.wrap(ctx, "announce", err)
	}
	q.share.learn(int(replyInt(reply, 0)), int(replyInt(reply, 1)))
	elsewhere := setOf(replyTexts(replyList(reply, 2)))
	q.routes.update(func(s *redisRouteSet) {
		s.elsewhere = elsewhere
		if s.learned == learned { // else there is something newer
			s.known = setOf(routes)
		}
	})
	q.sweepOutbox(ctx)
	if err := q.checked(ctx); err != nil {
		return q.wrap(ctx, "announce", err)
	}
	return nil
}

// digestOf is the same for the same routes in any order.
func digestOf(routes []string) string {
	sorted := slices.Clone(routes)
	slices.Sort(sorted)
	return digest(strings.Join(sorted, "\x00"))
}

// learnRoutes says what the next Announce will. Before the first one it does nothing.
func (q *redisQueue) learnRoutes(routes []string) {
	q.routes.update(func(s *redisRouteSet) {
		if s.learned++; s.known != nil {
			s.known = setOf(routes)
		}
	})
}

func (r *redisRoutes) update(change func(*redisRouteSet)) {
	for {
		old := r.set.Load()
		var next redisRouteSet
		if old != nil {
			next = *old
		}
		known := next.known
		if change(&next); !maps.Equal(known, next.known) {
			next.version++
		}
		if r.set.CompareAndSwap(old, &next) {
			return
		}
	}
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

// expirePage is how many messages become dead letters in one step.
const expirePage = 200

func (q *redisQueue) ExpireUnknown(ctx context.Context, unknown time.Duration) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, after := 0, ""
	for {
		lanes, err := q.Lanes(ctx, after, lanesChunk)
		if err != nil {
			return n, err
		}
		for _, lane := range lanes {
			after = lane.Name
			if lane.Parked == 0 {
				continue
			}
			expired, err := q.expireLane(ctx, lane.Name, unknown)
			n += expired
			if err != nil {
				return n, q.wrap(ctx, "expire messages of unknown routes", err)
			}
		}
		if len(lanes) < lanesChunk {
			return n, nil
		}
	}
}

func (q *redisQueue) expireLane(ctx context.Context, lane string, unknown time.Duration) (n int, err error) {
	expired, err := q.expiredRoutes(ctx, lane, unknown)
	if err != nil {
		return 0, err
	}
	keys := q.laneKeys(lane, "state", "ready", "held", "order", "dead", "parked", "routes", "cards", "tombs", "lost")
	for _, route := range expired {
		reason := fmt.Sprintf("route %q is unknown: no process has announced it for %v", route, unknown)
		for {
			moved, err := q.lua.Expire.Run(ctx, q.client, keys, route, reason, expirePage, q.channel(), lane).Int()
			if err != nil {
				return n, err
			}
			if n += moved; moved < expirePage {
				break
			}
		}
	}
	return n, nil
}

// expiredRoutes are those of a lane's parked messages that nobody has announced for so
// long. A route never announced counts from when its first message was parked.
func (q *redisQueue) expiredRoutes(ctx context.Context, lane string, unknown time.Duration) ([]string, error) {
	parked, err := q.client.HGetAll(ctx, q.laneKeys(lane, "routes")[0]).Result()
	if err != nil || len(parked) == 0 {
		return nil, err
	}
	routes := slices.Sorted(maps.Keys(parked))
	pipe := q.client.Pipeline()
	clock := pipe.Time(ctx)
	announced := pipe.HMGet(ctx, q.routesKey(), routes...)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	known, now := q.routes.current(), clock.Val()
	var expired []string
	for i, route := range routes {
		last := replyText(announced.Val(), i)
		if last == "" {
			last = parked[route]
		}
		ms, err := strconv.ParseInt(last, 10, 64)
		if err == nil && now.Sub(time.UnixMilli(ms)) >= unknown && (known.known == nil || !known.known[route]) {
			expired = append(expired, route)
		}
	}
	return expired, nil
}

// watchPing is how long a silent connection is trusted.
const watchPing = 10 * time.Second

func (q *redisQueue) Watch(ctx context.Context, wake func(lane string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sub := q.client.Subscribe(ctx, q.channel())
	// A read does not notice that ctx ends; that the connection is closed it does.
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer func() {
		stop()
		_ = sub.Close()
	}()
	return q.wrap(ctx, "watch", receiveWakes(ctx, sub, wake))
}

// receiveWakes returns only with an error.
func receiveWakes(ctx context.Context, sub *redis.PubSub, wake func(lane string)) error {
	for pinged := false; ; {
		msg, err := sub.ReceiveTimeout(ctx, watchPing)
		if err == nil {
			pinged = false
			if m, ok := msg.(*redis.Message); ok {
				wake(m.Payload)
			}
			continue
		}
		if pinged || !isTimeout(err) {
			return err
		}
		if err := sub.Ping(ctx); err != nil {
			return err
		}
		pinged = true
	}
}
