-- Ends claims on messages of a lane.
--
-- KEYS  state ready due claimed held order dead cards payloads history tombs seen lost
-- ARGV  1 token   2 channel for wakes   3 lane, then of each settlement:
--       message, kind, and what the kind takes:
--       delivered, release   nothing
--       retry                after in ms, attempt as a line ("" for none)
--       hold                 the same: retry in place, and the lane pauses
--       dead, refused        attempt, reason, answer
-- Returns {how many settlings there have been in the lane, messages and bytes that wait}, or {0} if
-- the token is stale.
--
-- What is not claimed is passed over, so that a repetition changes nothing.

local state, ready, due, claimed, held, order, dead, cards, payloads, history, tombs, seen, lost = unpack(KEYS)
local token, channel, lane = ARGV[1], ARGV[2], ARGV[3]
if token == '' or redis.call('HGET', state, 'token') ~= token then return {0} end

local first_attempts, last_attempts, remember = 3, 16, 60000
local now = clock()
local s = redis.call('HMGET', state, 'waiting', 'bytes', 'dead', 'deaths', 'failures', 'refusals', 'pause', 'hungry', 'settles')
local waiting, bytes, n_dead, deaths = num(s[1]), num(s[2]), num(s[3]), num(s[4])
local failures, refusals, pause, settles = num(s[5]), num(s[6]), num(s[7]), num(s[9]) + 1
local any_lost = redis.call('EXISTS', lost) == 1
local workable, delivered = 0, 0

-- Adds an attempt to the history, of which the first and the last are kept.
local function record(m, raw, line)
  if line == '' or not raw then return end
  local card = read_card(raw)
  local silent = string.match(line, '^%S+ %S+ %S+ 1 ') and card.silent + 1 or 0
  redis.call('HSET', cards, m, with_attempts(raw, card.attempts + 1, silent))
  local lines = {}
  for l in string.gmatch(redis.call('HGET', history, m) or '', '[^\n]+') do lines[#lines + 1] = l end
  lines[#lines + 1] = line
  if #lines > first_attempts + last_attempts then table.remove(lines, first_attempts + 1) end
  redis.call('HSET', history, m, table.concat(lines, '\n'))
end

local function place_of(place) return string.match(place, '^%d+ (%d+)') end

local function finish(m, card)
  waiting, bytes = waiting - 1, bytes - card.size
  workable = workable + free_next(ready, held, order, m, card.okey)
end

local function die(m, raw, line, reason, answer)
  record(m, raw, line)
  deaths, n_dead = deaths + 1, n_dead + 1
  redis.call('ZADD', dead, deaths, m)
  redis.call('HSET', tombs, m, new_tomb(now, reason, answer))
  finish(m, read_card(raw))
end

local settle = {}

function settle.delivered(m, _, raw)
  local card = read_card(raw)
  redis.call('HDEL', payloads, m)
  redis.call('HDEL', cards, m)
  if card.attempts > 0 then redis.call('HDEL', history, m) end
  redis.call('ZADD', seen, now, m)
  delivered, failures, refusals = delivered + 1, 0, 0
  finish(m, card)
end

function settle.dead(m, _, raw, line, reason, answer) die(m, raw, line, reason, answer) end

function settle.refused(m, _, raw, line, reason, answer)
  die(m, raw, line, reason, answer)
  failures, refusals = 0, refusals + 1
end

function settle.retry(m, place, raw, after, line)
  record(m, raw, line)
  redis.call('ZADD', due, now + after, pad(place_of(place)) .. ':' .. m)
  workable, failures = workable + 1, 0
end

-- Without a time there is nothing to wait for, and nothing is held against the lane.
function settle.hold(m, place, raw, after, line)
  record(m, raw, line)
  redis.call('ZADD', ready, place_of(place), m)
  if tonumber(after) > 0 then
    failures, pause = failures + 1, math.max(pause, now + after)
  else
    workable = workable + 1
  end
end

function settle.release(m, place)
  put_back(ready, due, m, place)
  workable = workable + 1
end

local takes = {delivered = 0, release = 0, retry = 2, hold = 2, dead = 3, refused = 3}
local i = 4
while i <= #ARGV do
  local m, kind = ARGV[i], ARGV[i + 1]
  local place = redis.call('HGET', claimed, m)
  if place then
    redis.call('HDEL', claimed, m)
    if any_lost then redis.call('HDEL', lost, m) end
    settle[kind](m, place, redis.call('HGET', cards, m), ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  end
  i = i + 2 + takes[kind]
end

if delivered > 0 then
  local old = redis.call('ZRANGEBYSCORE', seen, '-inf', now - remember, 'LIMIT', 0, 2 * math.min(delivered, 500))
  if #old > 0 then redis.call('ZREM', seen, unpack(old)) end
  redis.call('PEXPIRE', seen, remember)
end
redis.call('HDEL', state, workable > 0 and 'hungry' or '')
redis.call('HSET', state, 'waiting', waiting, 'bytes', bytes, 'dead', n_dead, 'deaths', deaths,
  'failures', failures, 'refusals', refusals, 'pause', pause, 'settles', settles)
if workable > 0 and s[8] then redis.call('PUBLISH', channel, lane) end
return {settles, waiting, bytes}
