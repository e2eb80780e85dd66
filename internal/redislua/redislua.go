// Package redislua holds the Lua scripts of the Redis store: each is one atomic step.
//
// Times in them are Redis's own, in milliseconds. A message is named by its key as
// text, "id.dest". Under a lane's keys, of one hash tag, lie
//
//	state    HASH  seq, deaths (last numbers given), waiting, parked, dead, bytes (counts),
//	               failures, refusals, pause (until), paused (by an operator since), rested (ms of
//	               such pauses that are over), settles (so far), token, until, taken, call, epoch
//	               (of the claim), hungry (the holder has found nothing more and wants to be woken)
//	ready    ZSET  seq -> message
//	due      ZSET  time -> "seq:message", so that ties keep their order
//	claimed  HASH  message -> "due seq call": its old place (due 0 is ready), and which claim took it
//	order    HASH  order key -> its one message outside of held
//	held     ZSET  by name: "orderkey:seq:message"
//	parked   ZSET  by name: "sha1(route)seq:message", of routes the last holder did not know
//	routes   HASH  route of a parked message -> since when any is parked
//	dead     ZSET  number of the death -> message
//	cards    HASH  message -> "attempts silent born size crc32c received orderkey route";
//	               silent counts the last attempts, born is on the lane's own clock
//	payloads HASH  message -> bytes, written once
//	history  HASH  message -> attempts, a line each; apart from the rest as retries rewrite it
//	lost     HASH  message -> claims of it that ended with their process
//	tombs    HASH  dead message -> "died length reason", and the answer behind it
//	seen     ZSET  time of delivery -> message, for a minute: a push retried late is known
//
// A full Redis refuses a script that starts with a write that needs memory, and lets
// one that starts with a deletion pass. So pushing fails when memory is full, wholly,
// and what empties the store goes on: such scripts delete first.
package redislua

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lib.lua
	lib string
	//go:embed lane.lua
	lane string
	//go:embed push.lua
	push string
	//go:embed push_lane.lua
	pushLane string
	//go:embed claim.lua
	claim string
	//go:embed settle.lua
	settle string
	//go:embed release.lua
	release string
	//go:embed expire.lua
	expire string
	//go:embed dead.lua
	dead string
	//go:embed letter.lua
	letter string
	//go:embed payload.lua
	payload string
	//go:embed replay.lua
	replay string
	//go:embed drop.lua
	drop string
	//go:embed prune.lua
	prune string
	//go:embed steer.lua
	steer string
	//go:embed register.lua
	register string
	//go:embed announce.lua
	announce string
	//go:embed waiting.lua
	waiting string
	//go:embed find.lua
	find string
	//go:embed oldest.lua
	oldest string
	//go:embed outbox_push.lua
	outboxPush string
	//go:embed outbox_due.lua
	outboxDue string
)

// Scripts are all the scripts, ready to run.
type Scripts struct {
	Push, PushLane                 *redis.Script
	Claim, Settle, Release, Expire *redis.Script
	Dead, Letter, Payload          *redis.Script
	Replay, Drop, Prune            *redis.Script
	Steer, Register, Announce      *redis.Script
	Waiting, Find, Oldest          *redis.Script
	OutboxPush, OutboxDue          *redis.Script
}

// New returns the scripts. It is a function so that a program without Redis does not link them.
func New() *Scripts {
	small := func(src string) *redis.Script { return redis.NewScript(lib + src) }
	script := func(src string) *redis.Script { return small(lane + src) }
	return &Scripts{
		Push: small(push), PushLane: small(pushLane),
		Claim: script(claim), Settle: script(settle), Release: script(release), Expire: script(expire),
		Dead: script(dead), Letter: script(letter), Payload: script(payload),
		Replay: script(replay), Drop: script(drop), Prune: script(prune),
		Steer: script(steer), Register: small(register), Announce: small(announce),
		Waiting: script(waiting), Find: script(find), Oldest: script(oldest),
		OutboxPush: small(outboxPush), OutboxDue: small(outboxDue),
	}
}
