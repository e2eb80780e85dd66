-- Reads one dead letter.
--
-- KEYS  dead cards history tombs
-- ARGV  1 message
-- Returns {message, number of the death, card or nil, history or nil, tomb or nil}, or {} if it is none.

local m = ARGV[1]
local number = redis.call('ZSCORE', KEYS[1], m)
if not number then return {} end
return {m, number, redis.call('HGET', KEYS[2], m), redis.call('HGET', KEYS[3], m), redis.call('HGET', KEYS[4], m)}
