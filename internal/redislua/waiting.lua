-- Lists what waits in a lane, from a place on.
--
-- KEYS  state ready due claimed held parked cards history
-- ARGV  1 stretch to begin with: 1 in hand, 2 due, 3 ready, 4 due later, 5 held back, 6 parked
--       2 place in it behind which to begin, "" for its beginning
--       3 when the list was begun, which parts 2 from 4; 0 for now   4 how many at most
-- Returns {when the list was begun, now, time on the lane's clock, {stretch, place, message, due or 0,
--         card or nil, history or nil} of each}

local state, ready, due, claimed, held, parked, cards, history = unpack(KEYS)
local first, after, began, max = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = clock()
if began == 0 then began = now end
local out = {}

-- Adds one; false when there is no room for more.
local function add(stretch, place, m, at)
  out[#out + 1] = {stretch, place, m, at, redis.call('HGET', cards, m), redis.call('HGET', history, m)}
  return #out < max
end

local list = {}

-- Of what is in hand there is little, but in no order.
list[1] = function(from)
  local all, places, sorted = redis.call('HGETALL', claimed), {}, {}
  for i = 1, #all, 2 do
    local at, seq = string.match(all[i + 1], '^(%d+) (%d+)')
    local place = (at == '0' and '1' or '0') .. pad(at) .. pad(seq)
    places[place], sorted[#sorted + 1] = all[i], place
  end
  table.sort(sorted)
  for _, place in ipairs(sorted) do
    if place > from and not add(1, place, places[place], 0) then return end
  end
end

-- Several may be due at one time, so that a place is time and name.
local function by_time(stretch, from, low, high)
  local at, name = string.match(from, '^(%d+) (.*)$')
  local offset, page = 0, 200
  while true do
    local r = redis.call('ZRANGEBYSCORE', due, at or low, high, 'WITHSCORES', 'LIMIT', offset, page)
    for i = 1, #r, 2 do
      local score = string.format('%d', tonumber(r[i + 1]))
      if not (score == at and r[i] <= name) then
        local m = string.match(r[i], '^%d+:(.*)$')
        if not add(stretch, score .. ' ' .. r[i], m, tonumber(r[i + 1])) then return end
      end
    end
    if #r < 2 * page then return end
    offset = offset + page
  end
end

list[2] = function(from) by_time(2, from, '-inf', began) end

list[3] = function(from)
  local r = redis.call('ZRANGEBYSCORE', ready, from == '' and '-inf' or '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, max - #out)
  for i = 1, #r, 2 do
    if not add(3, string.format('%d', tonumber(r[i + 1])), r[i], 0) then return end
  end
end

list[4] = function(from) by_time(4, from, '(' .. began, '+inf') end

local function by_name(stretch, key, from, message)
  local r = redis.call('ZRANGEBYLEX', key, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, max - #out)
  for _, entry in ipairs(r) do
    if not add(stretch, entry, message(entry), 0) then return end
  end
end

list[5] = function(from)
  by_name(5, held, from, function(entry) return string.match(entry, '^[^:]*:%d+:(.*)$') end)
end

list[6] = function(from)
  by_name(6, parked, from, function(entry)
    local _, m = parked_entry(entry)
    return m
  end)
end

for stretch = first, 6 do
  if #out < max then list[stretch](stretch == first and after or '') end
end
local s = redis.call('HMGET', state, 'paused', 'rested')
return {began, now, lane_clock(now, s[1], s[2]), out}
