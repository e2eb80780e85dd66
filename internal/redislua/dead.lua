-- Lists dead letters, the latest first.
--
-- KEYS  dead cards history tombs
-- ARGV  1 number of the death from which on, "+inf" or "(n"   2 how many at most
-- Returns {message, number, card or nil, history or nil, tomb or nil} of each.

local dead, cards, history, tombs = unpack(KEYS)
local r = redis.call('ZREVRANGEBYSCORE', dead, ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {}
for i = 1, #r, 2 do
  local m = r[i]
  out[#out + 1] = {m, r[i + 1], redis.call('HGET', cards, m), redis.call('HGET', history, m), redis.call('HGET', tombs, m)}
end
return out
