-- Gives a lane back, and what is claimed under the token with it.
--
-- KEYS  state ready due claimed lost
-- ARGV  1 token   2 channel for wakes   3 lane
-- Returns 1, or 0 if the token is stale, which changes nothing.

local state, ready, due, claimed, lost = unpack(KEYS)
local token, channel, lane = ARGV[1], ARGV[2], ARGV[3]
if token == '' or redis.call('HGET', state, 'token') ~= token then return 0 end

give_up(state, ready, due, claimed, lost)
local now = clock()
local s = redis.call('HMGET', state, 'pause', 'paused')
forget_empty(state)
if s[2] or num(s[1]) > now then return 1 end
local next = num(redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
if redis.call('EXISTS', ready) == 1 or (next > 0 and next <= now) then redis.call('PUBLISH', channel, lane) end
return 1
