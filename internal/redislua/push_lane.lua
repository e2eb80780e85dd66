-- Stores messages of one lane, each a batch of its own without a mark. What Lua costs
-- beside the commands is paid once for all of them.
--
-- KEYS  state ready held order cards payloads seen
-- ARGV  1 channel for wakes
--       2 name of the lane, then of each message:
--         messages and bytes that may wait in the lane (0 for any), message,
--         card without what this script adds, order key ("-" for none), payload
-- Returns {messages and bytes that wait, of each message 1 if the lane had reached its
--       bound and it was not stored, else 0}
--
-- A message that is stored, or was delivered within the last minute, is passed over. What was
-- stored before is written once more all the same, so that a WAIT behind this script waits for it.

local state, ready, held, order, cards, payloads, seen = unpack(KEYS)
local now = clock()
local s = redis.call('HMGET', state, 'seq', 'waiting', 'bytes', 'token', 'until', 'hungry', 'paused', 'rested')
local seq, waiting, bytes = num(s[1]), num(s[2]), num(s[3])
local asleep = not s[7] and (not s[4] or num(s[5]) <= now or s[6])
local born = lane_clock(now, s[7], s[8])
local out, changed, again = {0, 0}, false, false

local function known(m)
  if redis.call('HEXISTS', cards, m) == 0 then return false end
  again = true
  return true
end

for i = 3, #ARGV, 6 do
  local max_messages, max_bytes, m, payload = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 5]
  local refused = 0
  if num(redis.call('ZSCORE', seen, m)) > now - 60000 then
    known(m)
  elseif (max_messages > 0 and waiting >= max_messages) or (max_bytes > 0 and bytes >= max_bytes) then
    if not known(m) then refused = 1 end
  elseif redis.call('HSETNX', payloads, m, payload) == 0 then
    again = true
  else
    redis.call('HSET', cards, m, new_card(born, ARGV[i + 3]))
    seq, waiting, bytes, changed = seq + 1, waiting + 1, bytes + #payload, true
    enqueue(ready, held, order, m, seq, ARGV[i + 4])
  end
  out[#out + 1] = refused
end

if changed then
  redis.call('HSET', state, 'seq', seq, 'waiting', waiting, 'bytes', bytes)
  if asleep then
    redis.call('HDEL', state, 'hungry')
    redis.call('PUBLISH', ARGV[1], ARGV[2])
  end
elseif again then
  redis.call('HDEL', state, '')
  redis.call('HSET', state, 'seq', seq)
end
out[1], out[2] = waiting, bytes
return out
