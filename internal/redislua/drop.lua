-- Deletes dead letters for good.
--
-- KEYS  state dead cards payloads history tombs
-- ARGV  messages
-- Returns how many.

local state, dead, cards, payloads, history, tombs = unpack(KEYS)
local n = 0
for _, m in ipairs(ARGV) do
  if redis.call('ZREM', dead, m) == 1 then
    redis.call('HDEL', cards, m)
    redis.call('HDEL', payloads, m)
    redis.call('HDEL', history, m)
    redis.call('HDEL', tombs, m)
    n = n + 1
  end
end
if n > 0 then redis.call('HINCRBY', state, 'dead', -n) end
return n
