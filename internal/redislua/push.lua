-- Stores the messages of one batch, in one or several lanes of one slot.
--
-- KEYS  1 of each lane: state ready held order cards payloads seen; the dedupe mark at the end, if any
-- ARGV  1 batch id
--       2 how long the mark lives, in ms; 0 without mark
--       3 channel for wakes
--       4 number of lanes, then their names, then of each message:
--         number of its lane (from 1), message, card, order key ("-" for none), payload
-- Returns the id under which the batch is stored: that of the first batch of the mark.
--
-- A message that is stored, or was delivered within the last minute, is passed over.

local per_lane, per_message = 7, 5
local id, mark_for, channel, lanes = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local mark = mark_for > 0 and KEYS[#KEYS]

if mark then
  local first = redis.call('GET', mark)
  if first then return first end
  redis.call('SET', mark, id, 'PX', mark_for)
end

local now = clock()
local opened = {}

local function open(i)
  if not opened[i] then
    local k = (i - 1) * per_lane
    local lane = {state = KEYS[k + 1], ready = KEYS[k + 2], held = KEYS[k + 3], order = KEYS[k + 4],
      cards = KEYS[k + 5], payloads = KEYS[k + 6], seen = KEYS[k + 7], name = ARGV[4 + i]}
    local s = redis.call('HMGET', lane.state, 'seq', 'waiting', 'bytes', 'token', 'until', 'hungry')
    lane.seq, lane.waiting, lane.bytes = num(s[1]), num(s[2]), num(s[3])
    lane.asleep = not s[4] or num(s[5]) <= now or s[6]
    opened[i] = lane
  end
  return opened[i]
end

local function known(lane, m)
  if redis.call('HEXISTS', lane.cards, m) == 1 then return true end
  local delivered = redis.call('ZSCORE', lane.seen, m)
  return delivered and tonumber(delivered) > now - 60000
end

for i = 5 + lanes, #ARGV, per_message do
  local lane, m, card, okey, payload = open(tonumber(ARGV[i])), ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if not known(lane, m) then
    redis.call('HSET', lane.payloads, m, payload)
    redis.call('HSET', lane.cards, m, card)
    lane.seq, lane.waiting, lane.bytes = lane.seq + 1, lane.waiting + 1, lane.bytes + #payload
    enqueue(lane.ready, lane.held, lane.order, m, lane.seq, okey)
    lane.changed = true
  end
end

for _, lane in pairs(opened) do
  if lane.changed then
    redis.call('HSET', lane.state, 'seq', lane.seq, 'waiting', lane.waiting, 'bytes', lane.bytes)
    if lane.asleep then
      redis.call('HDEL', lane.state, 'hungry')
      redis.call('PUBLISH', channel, lane.name)
    end
  end
end
return id
