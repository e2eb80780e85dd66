-- Notes which routes a process knows.
--
-- KEYS  heartbeats HASH route -> last announced
-- ARGV  1 for how many ms an announcement counts as fresh, then routes
-- Returns routes announced lately that are not among them.

redis.call('HDEL', KEYS[1], '') -- so that it passes when memory is full
local now, mine, others = clock(), {}, {}
for i = 2, #ARGV do
  mine[ARGV[i]] = true
  redis.call('HSET', KEYS[1], ARGV[i], now)
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if not mine[all[i]] and tonumber(all[i + 1]) > now - tonumber(ARGV[1]) then others[#others + 1] = all[i] end
end
return others
