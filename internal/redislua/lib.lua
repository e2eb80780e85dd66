-- Stands in front of every script. What only some need is in lane.lua: a push pays for each line.

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function num(v) return tonumber(v or 0) or 0 end

-- As text of one width, a number sorts by name as by value.
local function pad(seq) return string.format('%016d', tonumber(seq)) end

-- The clock by which a lane's messages age: while an operator has it paused, it stands still.
local function lane_clock(now, paused, rested) return (tonumber(paused) or now) - num(rested) end

-- rest is what a push brings of a card: all that never changes.
local function new_card(born, rest) return '0 0 ' .. born .. ' ' .. rest end

-- Of an order key one message is outside of held, the others wait behind it.
local function enqueue(ready, held, order, m, seq, okey)
  if okey ~= '-' and redis.call('HSETNX', order, okey, m) == 0 then
    redis.call('ZADD', held, 0, okey .. ':' .. pad(seq) .. ':' .. m)
  else
    redis.call('ZADD', ready, seq, m)
  end
end
