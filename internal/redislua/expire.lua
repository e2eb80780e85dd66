-- Makes dead letters of parked messages of one route.
--
-- KEYS  state ready held order dead parked routes cards tombs lost
-- ARGV  1 route   2 reason   3 how many at most   4 channel for wakes   5 lane
-- Returns how many; fewer than asked for when none is left.

local state, ready, held, order, dead, parked, routes, cards, tombs, lost = unpack(KEYS)
local route, reason, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now = clock()
local low, high = parked_range(route)
local entries = redis.call('ZRANGEBYLEX', parked, low, high, 'LIMIT', 0, limit)
local bytes, freed = 0, 0
for _, entry in ipairs(entries) do
  local _, m = parked_entry(entry)
  local card = read_card(redis.call('HGET', cards, m))
  redis.call('ZREM', parked, entry)
  redis.call('HDEL', lost, m)
  redis.call('ZADD', dead, redis.call('HINCRBY', state, 'deaths', 1), m)
  redis.call('HSET', tombs, m, new_tomb(now, reason, ''))
  bytes = bytes + card.size
  freed = freed + free_next(ready, held, order, m, card.okey)
end
if #entries < limit then redis.call('HDEL', routes, route) end
if #entries == 0 then return 0 end
redis.call('HINCRBY', state, 'parked', 0 - #entries)
redis.call('HINCRBY', state, 'waiting', 0 - #entries)
redis.call('HINCRBY', state, 'dead', #entries)
redis.call('HINCRBY', state, 'bytes', 0 - bytes)
if freed > 0 then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return #entries
