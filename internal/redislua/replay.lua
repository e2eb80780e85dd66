-- Puts dead letters at the end of their lane, as if just pushed.
--
-- KEYS  state ready held order dead cards history tombs
-- ARGV  1 channel for wakes   2 lane, then messages
-- Returns {how many, messages and bytes that wait then}; the last two only if there were any.

local state, ready, held, order, dead, cards, history, tombs = unpack(KEYS)
local s = redis.call('HMGET', state, 'paused', 'rested')
local born = lane_clock(clock(), s[1], s[2])
local n, more = 0, 0
for i = 3, #ARGV do
  local m = ARGV[i]
  if redis.call('ZREM', dead, m) == 1 then
    local raw = redis.call('HGET', cards, m)
    local card = read_card(raw)
    redis.call('HDEL', history, m)
    redis.call('HDEL', tombs, m)
    if raw then redis.call('HSET', cards, m, reborn(raw, born)) end
    enqueue(ready, held, order, m, redis.call('HINCRBY', state, 'seq', 1), card.okey)
    n, more = n + 1, more + card.size
  end
end
if n == 0 then return {0} end
redis.call('HINCRBY', state, 'dead', -n)
redis.call('HDEL', state, 'hungry')
if not s[1] then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
return {n, redis.call('HINCRBY', state, 'waiting', n), redis.call('HINCRBY', state, 'bytes', more)}
