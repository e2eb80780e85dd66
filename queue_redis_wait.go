package repeater

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisWait is what has to follow a script that stores what must not get lost.
type redisWait struct {
	replicas int
	timeout  time.Duration
}

// redisRun is a script with what it is run on.
type redisRun struct {
	script *redis.Script
	keys   []string
	args   []any
}

// runSafe runs a script, and waits for the replicas that the options ask for.
func (q *redisQueue) runSafe(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	if q.wait.replicas == 0 {
		return script.Run(ctx, q.client, keys, args...)
	}
	return q.runAllSafe(ctx, []redisRun{{script, keys, args}})[0]
}

// runAllSafe runs scripts, in one round trip for each node.
func (q *redisQueue) runAllSafe(ctx context.Context, runs []redisRun) []*redis.Cmd {
	if q.wait.replicas == 0 {
		return q.runAll(ctx, runs)
	}
	cmds := make([]*redis.Cmd, len(runs))
	nodes := make(map[pipeliner][]int)
	for i, r := range runs {
		node, err := q.node(ctx, r.keys[0])
		if err != nil {
			cmds[i] = redis.NewCmd(ctx)
			cmds[i].SetErr(err)
			continue
		}
		nodes[node] = append(nodes[node], i)
	}
	for node, which := range nodes {
		q.runWaiting(ctx, node, runs, which, cmds)
	}
	return cmds
}

type pipeliner interface{ Pipeline() redis.Pipeliner }

// node is where a key lives. A WAIT waits for the writes of its own connection, so
// it must go the way of the script, and a pipeline to one node is one connection.
func (q *redisQueue) node(ctx context.Context, key string) (pipeliner, error) {
	if c, ok := q.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, key)
	}
	return q.client, nil
}

// runWaiting runs scripts on one node, which answers once the replicas have what was written. A
// script that was not loaded there is sent whole the second time.
func (q *redisQueue) runWaiting(ctx context.Context, node pipeliner, runs []redisRun, which []int, cmds []*redis.Cmd) {
	run := func(which []int, add func(redis.Pipeliner, redisRun) *redis.Cmd) (missing []int) {
		pipe := q.patient(node).Pipeline()
		for _, i := range which {
			cmds[i] = add(pipe, runs[i])
		}
		waited := pipe.Do(ctx, "wait", q.wait.replicas, millis(q.waitFor(ctx)))
		_, _ = pipe.Exec(ctx) // each command has its own error
		err := q.waitError(waited)
		for _, i := range which {
			switch {
			case redis.HasErrorPrefix(cmds[i].Err(), "NOSCRIPT"):
				missing = append(missing, i)
			case cmds[i].Err() == nil && err != nil:
				cmds[i].SetErr(err)
			}
			q.relearn(ctx, cmds[i].Err())
		}
		return missing
	}
	missing := run(which, func(pipe redis.Pipeliner, r redisRun) *redis.Cmd {
		return pipe.EvalSha(ctx, r.script.Hash(), r.keys, r.args...)
	})
	if len(missing) > 0 {
		run(missing, func(pipe redis.Pipeliner, r redisRun) *redis.Cmd { return r.script.Eval(ctx, pipe, r.keys, r.args...) })
	}
}

// waitFor is never 0, which Redis takes for ever.
func (q *redisQueue) waitFor(ctx context.Context) time.Duration {
	d := q.wait.timeout
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end))
	}
	return max(d, time.Millisecond)
}

// patient is the node for who waits longer than its client reads for an answer.
func (q *redisQueue) patient(node pipeliner) pipeliner {
	if c, ok := node.(*redis.Client); ok {
		if read := c.Options().ReadTimeout; read > 0 && q.wait.timeout > read/2 {
			return c.WithTimeout(read + q.wait.timeout)
		}
	}
	return node
}

func (q *redisQueue) waitError(waited *redis.Cmd) error {
	n, err := waited.Int64()
	if err == nil && n < int64(q.wait.replicas) {
		err = fmt.Errorf("%d of %d replicas have it after %v", n, q.wait.replicas, q.wait.timeout)
	}
	return err
}

// relearn lets a cluster's client find out soon that a slot has moved or a node is gone, as
// it does by itself for what it sends itself.
func (q *redisQueue) relearn(ctx context.Context, err error) {
	c, ok := q.client.(*redis.ClusterClient)
	if !ok || err == nil {
		return
	}
	var refused redis.Error
	if !errors.As(err, &refused) || redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "READONLY") {
		c.ReloadState(ctx)
	}
}

// runAll runs scripts in one round trip, and once more where one was not loaded.
func (q *redisQueue) runAll(ctx context.Context, runs []redisRun) []*redis.Cmd {
	pipe := q.client.Pipeline()
	cmds := make([]*redis.Cmd, len(runs))
	for i, r := range runs {
		cmds[i] = pipe.EvalSha(ctx, r.script.Hash(), r.keys, r.args...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			cmds[i] = runs[i].script.Run(ctx, q.client, runs[i].keys, runs[i].args...)
		}
	}
	return cmds
}
