-- Stores the messages of one batch, in one or several lanes of one slot.
--
-- KEYS  1 of each lane: state ready held order cards payloads seen; the dedupe mark at the end, if any
-- ARGV  1 batch id
--       2 how long the mark lives, in ms; 0 without mark
--       3 channel for wakes
--       4 messages and 5 bytes that may wait in a lane; 0 for any
--       6 number of lanes, then their names, then of each message:
--         number of its lane (from 1), message, card without what this script adds,
--         order key ("-" for none), payload
-- Returns {id, full, of each lane: messages and bytes that wait}
--       id: under which the batch is stored, that of the first batch of the mark; then no lanes follow.
--       full: 1 if a lane has reached its bound, and nothing was stored; else 0.
--
-- A message that is stored, or was delivered within the last minute, is passed over.
-- What was stored before is written once more all the same, so that a WAIT behind
-- this script waits for it.

local per_lane, per_message, fixed = 7, 5, 6
local id, mark_for, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local max_messages, max_bytes, lanes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local mark = mark_for > 0 and KEYS[#KEYS]

local first = mark and redis.call('GET', mark)
if first then
  redis.call('HDEL', KEYS[1], '')
  redis.call('SET', mark, first, 'KEEPTTL')
  return {first, 0}
end

local now = clock()
local opened = {}
for i = 1, lanes do
  local k = (i - 1) * per_lane
  local lane = {state = KEYS[k + 1], ready = KEYS[k + 2], held = KEYS[k + 3], order = KEYS[k + 4],
    cards = KEYS[k + 5], payloads = KEYS[k + 6], seen = KEYS[k + 7], name = ARGV[fixed + i]}
  local s = redis.call('HMGET', lane.state, 'seq', 'waiting', 'bytes', 'token', 'until', 'hungry', 'paused', 'rested')
  lane.seq, lane.waiting, lane.bytes = num(s[1]), num(s[2]), num(s[3])
  lane.asleep = not s[7] and (not s[4] or num(s[5]) <= now or s[6])
  lane.clock = lane_clock(now, s[7], s[8])
  lane.full = (max_messages > 0 and lane.waiting >= max_messages) or (max_bytes > 0 and lane.bytes >= max_bytes)
  opened[i] = lane
end

local function answer(full)
  local out = {id, full}
  for _, lane in ipairs(opened) do
    out[#out + 1] = lane.waiting
    out[#out + 1] = lane.bytes
  end
  return out
end

local new, full = {}, 0
for i = fixed + lanes + 1, #ARGV, per_message do
  local lane, m = opened[tonumber(ARGV[i])], ARGV[i + 1]
  if redis.call('HEXISTS', lane.cards, m) == 1 then
    lane.again = true
  elseif num(redis.call('ZSCORE', lane.seen, m)) <= now - 60000 then
    new[#new + 1] = i
    if lane.full then full = 1 end
  end
end
if full == 1 then return answer(1) end

if mark then redis.call('SET', mark, id, 'PX', mark_for) end
for _, i in ipairs(new) do
  local lane, m, payload = opened[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 4]
  redis.call('HSET', lane.payloads, m, payload)
  redis.call('HSET', lane.cards, m, new_card(lane.clock, ARGV[i + 2]))
  lane.seq, lane.waiting, lane.bytes = lane.seq + 1, lane.waiting + 1, lane.bytes + #payload
  enqueue(lane.ready, lane.held, lane.order, m, lane.seq, ARGV[i + 3])
  lane.changed = true
end

for _, lane in ipairs(opened) do
  if lane.changed then
    redis.call('HSET', lane.state, 'seq', lane.seq, 'waiting', lane.waiting, 'bytes', lane.bytes)
    if lane.asleep then
      redis.call('HDEL', lane.state, 'hungry')
      redis.call('PUBLISH', channel, lane.name)
    end
  elseif lane.again then
    redis.call('HDEL', lane.state, '')
    redis.call('HSET', lane.state, 'seq', lane.seq)
  end
end
return answer(0)
