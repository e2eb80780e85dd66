package repeater

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// redisHold is what this process remembers of a lane that it claims. Only one
// Claim or Release of a lane is at work here at a time.
type redisHold struct {
	users int           // who need it; guarded by holdsMu
	turn  chan struct{} // full while one is at work; guards the rest

	token   string          // of the last claim here
	giving  bool            // told to yield, for the sake of shares
	owed    string          // a token that was to be released, and may not have been
	sent    int64           // number of the last claim that was sent
	ack     int64           // number of the last one whose messages the caller has got
	take    string          // of a take whose outcome is unknown, so that it can be repeated
	unknown map[string]bool // routes met in this lane that this process does not know
	routes  int64           // version of the announced routes that unknown goes with

	// How many settlings Redis has counted in the lane, and told under which token; guarded by holdsMu.
	settles      int64
	settledUnder string
}

func (q *redisQueue) hold(ctx context.Context, lane string) (*redisHold, error) {
	q.holdsMu.Lock()
	h := q.holds[lane]
	if h == nil {
		h = &redisHold{turn: make(chan struct{}, 1)}
		q.holds[lane] = h
	}
	h.users++
	q.holdsMu.Unlock()
	select {
	case h.turn <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		q.leaveHold(lane, h)
		return nil, ctx.Err()
	}
}

func (q *redisQueue) letGo(lane string, h *redisHold) {
	q.leaveHold(lane, h)
	<-h.turn
}

// leaveHold forgets the lane once nobody needs it. Without users nobody else looks at h.
func (q *redisQueue) leaveHold(lane string, h *redisHold) {
	q.holdsMu.Lock()
	defer q.holdsMu.Unlock()
	if h.users--; h.users == 0 && h.token == "" && h.take == "" && h.owed == "" {
		delete(q.holds, lane)
	}
}

// settled notes how many settlings Redis has counted.
func (q *redisQueue) settled(lane, token string, settles int64) {
	q.holdsMu.Lock()
	defer q.holdsMu.Unlock()
	h := q.holds[lane]
	switch {
	case h == nil:
	case h.settledUnder != token:
		h.settledUnder, h.settles = token, settles
	default:
		h.settles = max(h.settles, settles)
	}
}

func (q *redisQueue) settlesUnder(h *redisHold, token string) int64 {
	q.holdsMu.Lock()
	defer q.holdsMu.Unlock()
	if token == "" || h.settledUnder != token {
		return 0
	}
	return h.settles
}

func (q *redisQueue) Claim(ctx context.Context, c ClaimRequest) (Claim, error) {
	if c.Lane == "" || len(c.Lane) > maxLane {
		return Claim{}, fmt.Errorf("claim: a lane's name has 1 to %d bytes, this one %d", maxLane, len(c.Lane))
	}
	if err := ctx.Err(); err != nil {
		return Claim{}, err
	}
	h, err := q.hold(ctx, c.Lane)
	if err != nil {
		return Claim{}, err
	}
	defer q.letGo(c.Lane, h)
	return q.claim(ctx, h, c)
}

// claimRounds is after how many rounds a Claim returns with what it has; more than one
// is needed only where routes are met that this process has not met in the lane before.
const claimRounds = 20

func (q *redisQueue) claim(ctx context.Context, h *redisHold, c ClaimRequest) (Claim, error) {
	routes := q.routes.current()
	if h.routes != routes.version {
		h.unknown, h.routes = nil, routes.version
	}
	ask, renewed := redisAsk{ack: h.ack}, c.Token != ""
	if c.Token == "" {
		if err := q.repay(ctx, h, c.Lane); err != nil {
			return Claim{}, err
		}
		h.take = cmp.Or(h.take, nonce())
	}
	if c.Token != "" && c.Token != h.token {
		ask.ack = -1 // it was taken through another redisQueue
	}
	var claim Claim
	for round := 1; ; round++ {
		if round > claimRounds {
			c.Max = 0 // park what is still in hand, and no more
		}
		got, err := q.runClaim(ctx, h, c, ask)
		if err != nil {
			return Claim{}, err
		}
		if got.overtaken {
			ask.ack = -1
			continue
		}
		next := got.sort(h, routes)
		claim.add(got.Claim)
		c.Token, c.Max = got.Token, max(0, c.Max-len(got.Messages))
		if c.MaxBytes > 0 {
			c.MaxBytes = max(1, c.MaxBytes-payloadBytes(got.Messages))
		}
		if ask = next; !ask.again {
			q.keep(h, claim.Token)
			if renewed && got.held > keepFor && !h.giving && q.share.give() {
				h.giving = true
			}
			claim.Yield = claim.Yield || h.giving
			h.ack, h.take = got.call, ""
			claim.More = claim.More || round > claimRounds
			return claim, nil
		}
	}
}

// add appends what a further round has brought.
func (c *Claim) add(next Claim) {
	messages, yield := append(c.Messages, next.Messages...), c.Yield || next.Yield
	*c = next
	c.Messages, c.Yield = messages, yield
}

func payloadBytes(messages []Claimed) (n int64) {
	for i := range messages {
		n += int64(len(messages[i].Payload))
	}
	return n
}

// redisAsk is what one round of a Claim tells the script beyond the request.
type redisAsk struct {
	again  bool
	ack    int64
	unpark []string // routes whose parked messages are to come back
	park   []string // messages in hand whose route this process does not know
}

func (q *redisQueue) runClaim(ctx context.Context, h *redisHold, c ClaimRequest, ask redisAsk) (redisGot, error) {
	number := int64(0)
	if ask.ack >= 0 {
		h.sent++
		number = h.sent
	}
	args := make([]any, 0, 11+len(h.unknown)+len(ask.unpark)+len(ask.park))
	args = append(args, c.Token, h.take, number, ask.ack, q.settlesUnder(h, c.Token), max(0, c.Max), max(0, c.MaxBytes),
		max(1, millis(c.TTL)), len(h.unknown), len(ask.unpark), len(ask.park))
	for _, list := range [][]string{slices.Collect(maps.Keys(h.unknown)), ask.unpark, ask.park} {
		for _, s := range list {
			args = append(args, s)
		}
	}
	keys := q.laneKeys(c.Lane, "state", "ready", "due", "claimed", "parked", "routes", "cards", "payloads", "lost")
	reply, err := q.lua.Claim.Run(ctx, q.client, keys, args...).Slice()
	if err != nil {
		return redisGot{}, q.wrap(ctx, "claim "+c.Lane, err)
	}
	switch status := replyInt(reply, 0); {
	case status == 0:
		q.forget(h, c.Token)
		return redisGot{}, fmt.Errorf("redis: claim %s: %w", c.Lane, ErrStale)
	case status < 0:
		h.take = ""
		return redisGot{}, fmt.Errorf("redis: claim %s: %w", c.Lane, ErrBusy)
	}
	got := readClaim(reply)
	h.sent = got.call
	return got, nil
}

// keep notes under which token the lane is held here.
func (q *redisQueue) keep(h *redisHold, token string) {
	if h.token == token {
		return
	}
	q.forget(h, h.token)
	h.token = token
	q.share.took()
}

// forget drops what goes with a token that holds nothing any more.
func (q *redisQueue) forget(h *redisHold, token string) {
	if token != "" && token == h.token {
		q.share.left(h.giving)
		h.token, h.giving, h.unknown = "", false, nil
	}
}

// redisGot is the answer to one round.
type redisGot struct {
	Claim
	call      int64
	overtaken bool          // by a later claim, through another redisQueue: nothing has happened
	parked    []string      // routes of parked messages
	held      time.Duration // since the take
	withheld  bool          // nothing was handed out because of what is parked
}

func readClaim(reply []any) redisGot {
	if replyInt(reply, 0) == 2 {
		return redisGot{call: replyInt(reply, 1), overtaken: true}
	}
	got := redisGot{
		Claim: Claim{
			Token:    replyText(reply, 1),
			Failures: int(replyInt(reply, 3)),
			Refusals: int(replyInt(reply, 4)),
			Paused:   replyInt(reply, 5) > 0,
			Wait:     time.Duration(replyInt(reply, 6)) * time.Millisecond,
			More:     replyInt(reply, 7) > 0,
			Yield:    replyInt(reply, 8) > 0,
		},
		call:     replyInt(reply, 2),
		held:     time.Duration(replyInt(reply, 9)) * time.Millisecond,
		withheld: replyInt(reply, 10) > 0,
		parked:   replyTexts(replyList(reply, 12)),
	}
	clock, messages := replyInt(reply, 11), replyList(reply, 13)
	for i := 0; i+3 < len(messages); i += 4 {
		got.Messages = append(got.Messages, readClaimed(messages[i:i+4], clock))
	}
	return got
}

// readClaimed reads a message's name, card, payload and losses.
func readClaimed(row []any, clock int64) Claimed {
	key, err1 := parseKey(replyText(row, 0))
	c, err2 := readRedisCard(replyText(row, 1))
	m := Claimed{Key: key, Lost: int(replyInt(row, 3))}
	if err1 != nil || err2 != nil {
		m.Err = ErrCorrupt
		return m
	}
	m.Route, m.Received, m.Attempts, m.Silent, m.Age = c.route, c.received, c.attempts, c.silent, c.age(clock)
	m.Payload, m.Err = c.verify(row[2])
	return m
}

// sort keeps the messages whose route this process knows, and says what to ask next.
func (got *redisGot) sort(h *redisHold, routes *redisRouteSet) redisAsk {
	ask := redisAsk{ack: got.call, again: got.withheld}
	got.Messages = slices.DeleteFunc(got.Messages, func(m Claimed) bool {
		if m.Route == "" && m.Err != nil || routes.knows(m.Route) {
			return false
		}
		h.learn(m.Route)
		ask.park = append(ask.park, m.Key.String())
		return true
	})
	for _, route := range got.parked {
		if routes.knows(route) {
			ask.unpark = append(ask.unpark, route)
			continue
		}
		h.learn(route)
		// Some other process waits for its turn; let it have one now and then.
		if routes.elsewhere[route] && got.held > turnLength {
			got.Yield = true
		}
	}
	ask.again = ask.again || len(ask.park) > 0
	return ask
}

// turnLength is how long a lane may be held while another process could deliver what is parked.
const turnLength = 5 * time.Second

func (h *redisHold) learn(route string) {
	if h.unknown == nil {
		h.unknown = make(map[string]bool)
	}
	h.unknown[route] = true
}
