-- Stores a batch whose lanes lie in different slots, until it is copied to them.
--
-- KEYS  1 items HASH message -> bytes   2 since ZSET time -> message   3 the dedupe mark, if any
-- ARGV  1 batch id   2 how long the mark lives, in ms; 0 without mark
--       3 whether a lane is full, 1 or 0, then message, bytes of each
-- Returns {id, 1} when stored; {id of the first batch of the mark, 0} when that one counts;
--       {id, -1} when not stored because a lane is full.
--
-- A known mark is written once more, so that a WAIT behind this script waits for it.

local items, since, mark = KEYS[1], KEYS[2], KEYS[3]
if mark then
  local first = redis.call('GET', mark)
  if first then
    redis.call('HDEL', items, '')
    redis.call('SET', mark, first, 'KEEPTTL')
    return {first, 0}
  end
end
if ARGV[3] == '1' then return {ARGV[1], -1} end
if mark then redis.call('SET', mark, ARGV[1], 'PX', ARGV[2]) end
local now = clock()
for i = 4, #ARGV, 2 do
  redis.call('HSET', items, ARGV[i], ARGV[i + 1])
  redis.call('ZADD', since, now, ARGV[i])
end
return {ARGV[1], 1}
