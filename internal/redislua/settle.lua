-- Ends claims on messages of a lane.
--
-- KEYS  state ready due claimed held order dead cards payloads history tombs seen
-- ARGV  1 token   2 channel for wakes   3 lane, then of each settlement:
--       message, kind, after in ms, attempt as a line ("" for none), reason
--       kinds: delivered, retry, hold (retry in place, and the lane pauses), dead, release
-- Returns 1, or 0 if the token is stale.
--
-- What is not claimed is passed over, so that a repetition changes nothing.

local state, ready, due, claimed, held, order, dead, cards, payloads, history, tombs, seen = unpack(KEYS)
local token, channel, lane = ARGV[1], ARGV[2], ARGV[3]
if token == '' or redis.call('HGET', state, 'token') ~= token then return 0 end

local first_attempts, last_attempts, remember = 3, 16, 60000
local now = clock()
local s = redis.call('HMGET', state, 'waiting', 'bytes', 'dead', 'deaths', 'failures', 'pause', 'hungry')
local waiting, bytes, n_dead, deaths, failures, pause = num(s[1]), num(s[2]), num(s[3]), num(s[4]), num(s[5]), num(s[6])
local workable, delivered = 0, 0

-- Adds an attempt to the history, of which the first and the last are kept.
local function record(m, raw, line)
  if line == '' or not raw then return end
  redis.call('HSET', cards, m, with_attempts(raw, read_card(raw).attempts + 1))
  local lines = {}
  for l in string.gmatch(redis.call('HGET', history, m) or '', '[^\n]+') do lines[#lines + 1] = l end
  lines[#lines + 1] = line
  if #lines > first_attempts + last_attempts then table.remove(lines, first_attempts + 1) end
  redis.call('HSET', history, m, table.concat(lines, '\n'))
end

local function finish(m, card)
  waiting, bytes, failures = waiting - 1, bytes - card.size, 0
  workable = workable + free_next(ready, held, order, m, card.okey)
end

local settle = {}

function settle.delivered(m, _, raw)
  redis.call('HDEL', payloads, m)
  redis.call('HDEL', cards, m)
  redis.call('HDEL', history, m)
  redis.call('ZADD', seen, now, m)
  delivered = delivered + 1
  finish(m, read_card(raw))
end

function settle.dead(m, _, raw, _, line, reason)
  record(m, raw, line)
  deaths, n_dead = deaths + 1, n_dead + 1
  redis.call('ZADD', dead, deaths, m)
  redis.call('HSET', tombs, m, now .. ' ' .. reason)
  finish(m, read_card(raw))
end

function settle.retry(m, place, raw, after, line)
  record(m, raw, line)
  redis.call('ZADD', due, now + after, pad(string.match(place, '^%d+ (%d+)')) .. ':' .. m)
  workable = workable + 1
end

function settle.hold(m, place, raw, after, line)
  record(m, raw, line)
  redis.call('ZADD', ready, string.match(place, '^%d+ (%d+)'), m)
  failures, pause = failures + 1, now + after
end

function settle.release(m, place)
  put_back(ready, due, m, place)
  workable = workable + 1
end

for i = 4, #ARGV, 5 do
  local m = ARGV[i]
  local place = redis.call('HGET', claimed, m)
  if place then
    redis.call('HDEL', claimed, m)
    settle[ARGV[i + 1]](m, place, redis.call('HGET', cards, m), tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4])
  end
end

if delivered > 0 then
  local old = redis.call('ZRANGEBYSCORE', seen, '-inf', now - remember, 'LIMIT', 0, 2 * math.min(delivered, 500))
  if #old > 0 then redis.call('ZREM', seen, unpack(old)) end
  redis.call('PEXPIRE', seen, remember)
end
redis.call('HDEL', state, workable > 0 and 'hungry' or '')
redis.call('HSET', state, 'waiting', waiting, 'bytes', bytes, 'dead', n_dead, 'deaths', deaths,
  'failures', failures, 'pause', pause)
if workable > 0 and s[7] then redis.call('PUBLISH', channel, lane) end
return 1
