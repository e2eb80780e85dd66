-- Notes which routes a process knows, and how many lanes it holds.
--
-- KEYS  routes HASH route -> last announced   processes HASH process -> "time lanes digest"
-- ARGV  1 for how many ms an announced route counts as known   2 the same for a process
--       3 process   4 lanes it holds   5 digest of its routes, then routes
-- Returns {announced processes with just these routes, lanes they hold, {routes announced lately
--         that are not among these}}

local routes, processes = KEYS[1], KEYS[2]
local known_for, alive_for, process, held, digest = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

redis.call('HDEL', processes, '') -- so that it passes when memory is full
local now = clock()
redis.call('HSET', processes, process, now .. ' ' .. held .. ' ' .. digest)
local n, total = 0, 0
local all = redis.call('HGETALL', processes)
for i = 1, #all, 2 do
  local at, lanes, theirs = string.match(all[i + 1], '^(%d+) (%d+) (.*)$')
  if tonumber(at) <= now - alive_for then
    redis.call('HDEL', processes, all[i])
  elseif theirs == digest then
    n, total = n + 1, total + tonumber(lanes)
  end
end

local mine, others = {}, {}
for i = 6, #ARGV do
  mine[ARGV[i]] = true
  redis.call('HSET', routes, ARGV[i], now)
end
all = redis.call('HGETALL', routes)
for i = 1, #all, 2 do
  if not mine[all[i]] and tonumber(all[i + 1]) > now - known_for then others[#others + 1] = all[i] end
end
return {n, total, others}
