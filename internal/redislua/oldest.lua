-- Finds what waits longest in a lane: what has the lowest number, whatever it waits for.
--
-- KEYS  state ready due claimed parked routes cards
-- ARGV  1 at how many that are due by themselves to look
-- Returns {time on the lane's clock, card}, or {} where nothing waits. What is held back is younger than what
-- it waits for.

local state, ready, due, claimed, parked, routes, cards = unpack(KEYS)

local seq, message
local function see(m, n)
  n = tonumber(n)
  if m and n and (not seq or n < seq) then seq, message = n, m end
end

local r = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')
see(r[1], r[2])
for _, entry in ipairs(redis.call('ZRANGE', due, 0, ARGV[1] - 1)) do
  local n, m = string.match(entry, '^(%d+):(.*)$')
  see(m, n)
end
r = redis.call('HGETALL', claimed)
for i = 1, #r, 2 do see(r[i], string.match(r[i + 1], '^%d+ (%d+)')) end
for _, route in ipairs(redis.call('HKEYS', routes)) do
  local low, high = parked_range(route)
  local entry = redis.call('ZRANGEBYLEX', parked, low, high, 'LIMIT', 0, 1)[1]
  if entry then
    local n, m = parked_entry(entry)
    see(m, n)
  end
end

local card = message and redis.call('HGET', cards, message)
if not card then return {} end
local s = redis.call('HMGET', state, 'paused', 'rested')
return {lane_clock(clock(), s[1], s[2]), card}
