-- Gives a lane back, and what is claimed under the token with it.
--
-- KEYS  state ready due claimed
-- ARGV  1 token   2 channel for wakes   3 lane
-- Returns 1, or 0 if the token is stale, which changes nothing.

local state, ready, due, claimed = unpack(KEYS)
local token, channel, lane = ARGV[1], ARGV[2], ARGV[3]
if token == '' or redis.call('HGET', state, 'token') ~= token then return 0 end

local now = clock()
redis.call('HDEL', state, 'token', 'until', 'taken', 'call', 'hungry')
put_back_after(ready, due, claimed, 0)

local s = redis.call('HMGET', state, 'pause', 'waiting', 'dead')
local pause = num(s[1])
if num(s[2]) == 0 and num(s[3]) == 0 and pause <= now then
  redis.call('DEL', state) -- an empty lane leaves nothing behind
  return 1
end
local next = num(redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
local some = redis.call('EXISTS', ready) == 1 or (next > 0 and next <= now)
if some and pause <= now then redis.call('PUBLISH', channel, lane) end
return 1
