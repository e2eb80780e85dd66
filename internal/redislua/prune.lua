-- Deletes the oldest dead letters of a lane.
--
-- KEYS  state dead cards payloads history tombs
-- ARGV  1 for how many ms they must have been dead   2 how many at most
-- Returns how many.

local state, dead, cards, payloads, history, tombs = unpack(KEYS)
local before, n = clock() - tonumber(ARGV[1]), 0
for _, m in ipairs(redis.call('ZRANGE', dead, 0, tonumber(ARGV[2]) - 1)) do
  local tomb = redis.call('HGET', tombs, m)
  if num(string.match(tomb or '', '^%d+')) > before then break end
  n = n + bury(m, dead, cards, payloads, history, tombs)
end
if n > 0 then
  redis.call('HINCRBY', state, 'dead', -n)
  forget_empty(state)
end
return n
