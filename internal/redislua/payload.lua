-- Reads a message, waiting or dead.
--
-- KEYS  cards payloads
-- ARGV  1 message
-- Returns {card, payload or nil}, or {} if it is not stored.

local card = redis.call('HGET', KEYS[1], ARGV[1])
if not card then return {} end
return {card, redis.call('HGET', KEYS[2], ARGV[1])}
