-- Stands in front of every script.

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function num(v) return tonumber(v or 0) or 0 end

-- As text of one width, a number sorts by name as by value.
local function pad(seq) return string.format('%016d', tonumber(seq)) end

-- A message whose card is lost still can be claimed and settled.
local function read_card(s)
  local attempts, size, okey, route = string.match(s or '', '^(%d+) (%d+) %x+ %S+ (%S+) (.*)$')
  return {attempts = num(attempts), size = num(size), okey = okey or '-', route = route or ''}
end

local function with_attempts(card, n) return n .. string.match(card, '^%d+(.*)$') end

-- Of an order key one message is outside of held, the others wait behind it.
local function enqueue(ready, held, order, m, seq, okey)
  if okey ~= '-' and redis.call('HSETNX', order, okey, m) == 0 then
    redis.call('ZADD', held, 0, okey .. ':' .. pad(seq) .. ':' .. m)
  else
    redis.call('ZADD', ready, seq, m)
  end
end

-- The next message of m's order key becomes ready, in its old place; returns how many.
local function free_next(ready, held, order, m, okey)
  if okey == '-' or redis.call('HGET', order, okey) ~= m then return 0 end
  local entry = redis.call('ZRANGEBYLEX', held, '[' .. okey .. ':', '(' .. okey .. ';', 'LIMIT', 0, 1)[1]
  if not entry then
    redis.call('HDEL', order, okey)
    return 0
  end
  redis.call('ZREM', held, entry)
  local seq, freed = string.match(entry, '^[^:]*:(%d+):(.*)$')
  redis.call('ZADD', ready, tonumber(seq), freed)
  redis.call('HSET', order, okey, freed)
  return 1
end

-- place is what claimed says of m.
local function put_back(ready, due, m, place)
  local at, seq = string.match(place, '^(%d+) (%d+)')
  if at == '0' then
    redis.call('ZADD', ready, seq, m)
  else
    redis.call('ZADD', due, at, pad(seq) .. ':' .. m)
  end
end

-- Puts back what claims numbered above call have taken.
local function put_back_after(ready, due, claimed, call)
  local all = redis.call('HGETALL', claimed)
  for i = 1, #all, 2 do
    if num(string.match(all[i + 1], '(%d+)$')) > call then
      redis.call('HDEL', claimed, all[i])
      put_back(ready, due, all[i], all[i + 1])
    end
  end
end

-- Entries of parked for route lie between these two.
local function parked_range(route)
  local h = redis.sha1hex(route)
  return '[' .. h, '(' .. h .. ':'
end

local function parked_entry(entry) return string.match(entry, '^' .. string.rep('%x', 40) .. '(%d+):(.*)$') end
