-- Reads messages that have been in the outbox for so long that whoever put them there must have failed.
--
-- KEYS  items since
-- ARGV  1 for how many ms   2 how many at most
-- Returns message, bytes of each.

local items, since = KEYS[1], KEYS[2]
local out = {}
for _, m in ipairs(redis.call('ZRANGEBYSCORE', since, '-inf', clock() - ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local item = redis.call('HGET', items, m)
  if item then
    out[#out + 1] = m
    out[#out + 1] = item
  else
    redis.call('ZREM', since, m)
  end
end
return out
