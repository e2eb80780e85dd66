-- Carries out an operator's order.
--
-- KEYS  state
-- ARGV  1 order: pause, resume, now, forgive   2 what forgiven refusals count
--       3 channel for wakes   4 lane
-- Returns 1.
--
-- What is written anew although it was so before lets a WAIT behind this script wait for it.

local state, order = KEYS[1], ARGV[1]
local now = clock()
redis.call('HDEL', state, '') -- so that it passes when memory is full
local s = redis.call('HMGET', state, 'paused', 'rested')

if order == 'pause' then
  redis.call('HSET', state, 'paused', s[1] or now)
  return 1
end
if order == 'resume' then
  local since = s[1] and math.max(0, now - num(s[1])) or 0
  redis.call('HDEL', state, 'paused')
  redis.call('HSET', state, 'rested', num(s[2]) + since)
else
  redis.call('HSET', state, 'pause', 0)
end
if order == 'forgive' then redis.call('HSET', state, 'refusals', ARGV[2]) end
forget_empty(state)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
