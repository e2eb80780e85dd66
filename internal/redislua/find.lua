-- Finds messages of a lane, by name.
--
-- KEYS  state ready due claimed parked order cards history dead
-- ARGV  messages
-- Returns {now, time on the lane's clock, {message, place, ahead, due, behind, card, history} of each that is there}
--       place: 0 ready, 1 in hand, 2 due, 3 held back, 4 parked, 5 dead, as repeater.Place has it
--       ahead: how many come before; -1 if that is not known, as of those held back or parked
--       due: when, for what is due; else 0
--       behind: the message of its order key that is not held back, or ""
--
-- Of what is due or parked only the entry's end is the name, so that entries have to be looked at: no more
-- than so many, beyond which it is said to be due now.

local state, ready, due, claimed, parked, order, cards, history, dead = unpack(KEYS)
local most, page = 10000, 500

local now = clock()
local n_hand = redis.call('HLEN', claimed)

local function ends_with(entry, m) return string.sub(entry, -#m - 1) == ':' .. m end

-- Looks through a sorted set by rank; returns rank and score, or nil.
local function search(key, m, from, to)
  to = math.min(to, from + most)
  for start = from, to - 1, page do
    local r = redis.call('ZRANGE', key, start, math.min(to, start + page) - 1, 'WITHSCORES')
    for i = 1, #r, 2 do
      if ends_with(r[i], m) then return start + (i - 1) / 2, tonumber(r[i + 1]) end
    end
  end
end

local function find(m, card)
  if redis.call('ZSCORE', dead, m) then return 5, -1, 0, '' end
  local place = redis.call('HGET', claimed, m)
  if place then
    local ahead, all = 0, redis.call('HVALS', claimed)
    local function sort(p)
      local at, seq = string.match(p, '^(%d+) (%d+)')
      return (at == '0' and '1' or '0') .. pad(at) .. pad(seq)
    end
    for _, other in ipairs(all) do
      if sort(other) < sort(place) then ahead = ahead + 1 end
    end
    return 1, ahead, 0, ''
  end
  local n_due = redis.call('ZCOUNT', due, '-inf', now)
  local rank = redis.call('ZRANK', ready, m)
  if rank then return 0, n_hand + n_due + rank, 0, '' end
  local head = card.okey ~= '-' and redis.call('HGET', order, card.okey)
  if head and head ~= m then return 3, -1, 0, head end
  local at, score = search(due, m, 0, redis.call('ZCARD', due))
  if at then
    if score > now then at = at + redis.call('ZCARD', ready) end
    return 2, n_hand + at, score, ''
  end
  local low, high = parked_range(card.route)
  local first = redis.call('ZRANGEBYLEX', parked, low, high, 'LIMIT', 0, 1)[1]
  if first then
    local start = redis.call('ZRANK', parked, first)
    if search(parked, m, start, start + redis.call('ZLEXCOUNT', parked, low, high)) then return 4, -1, 0, '' end
  end
  return 2, -1, 0, ''
end

local out = {}
local found = redis.call('HMGET', cards, unpack(ARGV))
for i, m in ipairs(ARGV) do
  if found[i] then
    local place, ahead, at, behind = find(m, read_card(found[i]))
    out[#out + 1] = {m, place, ahead, at, behind, found[i], redis.call('HGET', history, m)}
  end
end
local s = redis.call('HMGET', state, 'paused', 'rested')
return {now, lane_clock(now, s[1], s[2]), out}
