-- Deletes dead letters for good.
--
-- KEYS  state dead cards payloads history tombs
-- ARGV  messages
-- Returns how many.

local state, dead, cards, payloads, history, tombs = unpack(KEYS)
local n = 0
for _, m in ipairs(ARGV) do n = n + bury(m, dead, cards, payloads, history, tombs) end
if n > 0 then
  redis.call('HINCRBY', state, 'dead', -n)
  forget_empty(state)
end
return n
