package repeater

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var _ InspectQueue = (*redisQueue)(nil)

// redisPlaces are the stretches of waiting.lua.
var redisPlaces = map[int64]Place{1: PlaceInHand, 2: PlaceDue, 3: PlaceReady, 4: PlaceDue, 5: PlaceHeld, 6: PlaceParked}

func (q *redisQueue) Waiting(ctx context.Context, lane, cursor string, max int) ([]WaitingMessage, string, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return nil, "", err
	}
	from, err := readRedisCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	keys := q.laneKeys(lane, "state", "ready", "due", "claimed", "held", "parked", "cards", "history")
	// One more than asked for tells whether there is another page.
	reply, err := q.lua.Waiting.Run(ctx, q.client, keys, from.stretch, from.after, from.began, max+1).Slice()
	if err != nil {
		return nil, "", q.wrap(ctx, "waiting messages of "+lane, err)
	}
	began, now, clock, rows := replyInt(reply, 0), replyInt(reply, 1), replyInt(reply, 2), replyList(reply, 3)
	next := ""
	if len(rows) > max {
		rows = rows[:max]
		last := replyList(rows, max-1)
		next = redisCursor{replyInt(last, 0), began, replyText(last, 1)}.encode()
	}
	messages := make([]WaitingMessage, len(rows))
	for i := range rows {
		row := replyList(rows, i)
		messages[i] = readWaiting(lane, replyText(row, 2), row[4:], clock)
		messages[i].Place = redisPlaces[replyInt(row, 0)]
		messages[i].Due = leftOf(replyInt(row, 3), now)
	}
	return messages, next, nil
}

// leftOf is how long it is until a time in ms, which is 0 for none.
func leftOf(at, now int64) time.Duration {
	return time.Duration(max(0, at-now)) * time.Millisecond
}

// readWaiting reads a name, and card and history as a script returns them. What is left of a damaged
// message is shown rather than hidden.
func readWaiting(lane, name string, row []any, clock int64) WaitingMessage {
	key, _ := parseKey(name)
	card, err := readRedisCard(replyText(row, 0))
	w := WaitingMessage{Key: key, Lane: lane, Route: card.route, Received: card.received, Size: card.size,
		Attempts: card.attempts, History: parseHistory(replyText(row, 1))}
	if err == nil {
		w.Age = card.age(clock)
	}
	return w
}

// redisCursor is a place in the list of waiting.lua.
type redisCursor struct {
	stretch int64
	began   int64
	after   string
}

func (c redisCursor) encode() string {
	return base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf("%d %d %s", c.stretch, c.began, c.after)))
}

func readRedisCursor(s string) (redisCursor, error) {
	if s == "" {
		return redisCursor{stretch: 1}, nil
	}
	text, err1 := base64.RawURLEncoding.DecodeString(s)
	f := strings.SplitN(string(text), " ", 3)
	if err1 != nil || len(f) < 3 {
		return redisCursor{}, fmt.Errorf("waiting messages: %q is not a cursor", s)
	}
	stretch, err2 := strconv.ParseInt(f[0], 10, 64)
	began, err3 := strconv.ParseInt(f[1], 10, 64)
	if errors.Join(err2, err3) != nil || redisPlaces[stretch] == 0 && stretch != 3 {
		return redisCursor{}, fmt.Errorf("waiting messages: %q is not a cursor", s)
	}
	return redisCursor{stretch, began, f[2]}, nil
}

// findNames is how many names a script is asked for at once.
const findNames = 1000

// Find asks each lane. What still lies in an outbox is found once it has been copied.
func (q *redisQueue) Find(ctx context.Context, id string, dests int) ([]WaitingMessage, error) {
	if err := ctx.Err(); err != nil || dests <= 0 || id == "" {
		return nil, err
	}
	var names []any
	for dest := range dests {
		names = append(names, Key{id, dest}.String())
	}
	var found []WaitingMessage
	for after := ""; ; {
		lanes, err := q.registered(ctx, after)
		if err != nil {
			return nil, q.wrap(ctx, "find", err)
		}
		for some := range slices.Chunk(names, findNames) {
			more, err := q.findIn(ctx, lanes, some)
			if err != nil {
				return nil, q.wrap(ctx, "find", err)
			}
			found = append(found, more...)
		}
		if len(lanes) < lanesChunk {
			break
		}
		after = lanes[len(lanes)-1]
	}
	slices.SortFunc(found, func(a, b WaitingMessage) int { return a.Key.Dest - b.Key.Dest })
	return found, nil
}

func (q *redisQueue) findIn(ctx context.Context, lanes []string, names []any) ([]WaitingMessage, error) {
	runs := make([]redisRun, len(lanes))
	for i, lane := range lanes {
		keys := q.laneKeys(lane, "state", "ready", "due", "claimed", "parked", "order", "cards", "history", "dead")
		runs[i] = redisRun{q.lua.Find, keys, names}
	}
	var found []WaitingMessage
	for i, cmd := range q.runAll(ctx, runs) {
		reply, err := cmd.Slice()
		if err != nil {
			return nil, err
		}
		now, clock, rows := replyInt(reply, 0), replyInt(reply, 1), replyList(reply, 2)
		for n := range rows {
			found = append(found, readFound(lanes[i], replyList(rows, n), now, clock))
		}
	}
	return found, nil
}

func readFound(lane string, row []any, now, clock int64) WaitingMessage {
	w := readWaiting(lane, replyText(row, 0), row[5:], clock)
	w.Ahead = int(replyInt(row, 2))
	w.Due = leftOf(replyInt(row, 3), now)
	w.Behind, _ = parseKey(replyText(row, 4))
	if w.Place = Place(replyInt(row, 1)); w.Place == PlaceDead { // #nosec G115 -- as find.lua says, less than 6
		w.Age = 0
	}
	return w
}

func (q *redisQueue) Oldest(ctx context.Context, lanes []string) ([]time.Duration, error) {
	if err := ctx.Err(); err != nil || len(lanes) == 0 {
		return nil, err
	}
	ages, runs := make([]time.Duration, len(lanes)), make([]redisRun, len(lanes))
	for i, lane := range lanes {
		runs[i] = redisRun{q.lua.Oldest, q.laneKeys(lane, "state", "ready", "due", "claimed", "parked", "routes", "cards"), []any{oldestDue}}
	}
	for i, cmd := range q.runAll(ctx, runs) {
		reply, err := cmd.Slice()
		if err != nil {
			return nil, q.wrap(ctx, "oldest message", err)
		}
		if card, err := readRedisCard(replyText(reply, 1)); err == nil {
			ages[i] = card.age(replyInt(reply, 0))
		}
	}
	return ages, nil
}

// probe finds nothing that Lanes has not found.
func (q *redisQueue) probe(context.Context) error { return nil }

// delivering tells whether any process has lately announced its routes, as those do that deliver.
func (q *redisQueue) delivering(ctx context.Context) (bool, error) {
	pipe := q.client.Pipeline()
	clock := pipe.Time(ctx)
	processes := pipe.HVals(ctx, q.processesKey())
	if _, err := pipe.Exec(ctx); err != nil {
		return false, q.wrap(ctx, "processes", err)
	}
	for _, p := range processes.Val() {
		at, _, _ := strings.Cut(p, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err == nil && clock.Val().Sub(time.UnixMilli(ms)) < processFor {
			return true, nil
		}
	}
	return false, nil
}
