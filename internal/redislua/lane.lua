-- Stands in front of the scripts that deal with more than pushing, after lib.lua.

-- A message whose card is lost still can be claimed and settled.
local function read_card(s)
  local attempts, silent, size, okey, route = string.match(s or '', '^(%d+) (%d+) %-?%d+ (%d+) %x+ %S+ (%S+) (.*)$')
  return {attempts = num(attempts), silent = num(silent), size = num(size), okey = okey or '-', route = route or ''}
end

local function reborn(card, born) return new_card(born, string.match(card, '^%d+ %d+ %-?%d+ (.*)$')) end

local function with_attempts(card, attempts, silent)
  return attempts .. ' ' .. silent .. string.match(card, '^%d+ %d+( .*)$')
end

-- A lane without messages, memory or holder leaves nothing behind.
local function forget_empty(state)
  local s = redis.call('HMGET', state, 'token', 'paused', 'waiting', 'dead', 'failures', 'refusals', 'pause')
  if s[1] or s[2] or num(s[3]) ~= 0 or num(s[4]) ~= 0 or num(s[5]) ~= 0 or num(s[6]) ~= 0 or num(s[7]) > clock() then return end
  redis.call('DEL', state)
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

-- Puts back what claims numbered above call have taken; returns it.
local function put_back_after(ready, due, claimed, call)
  local all, back = redis.call('HGETALL', claimed), {}
  for i = 1, #all, 2 do
    if num(string.match(all[i + 1], '(%d+)$')) > call then
      redis.call('HDEL', claimed, all[i])
      put_back(ready, due, all[i], all[i + 1])
      back[#back + 1] = all[i]
    end
  end
  return back
end

-- Ends the claim on a lane, and puts back what is in hand under it: none of that is lost.
local function give_up(state, ready, due, claimed, lost)
  redis.call('HDEL', state, 'token', 'until', 'taken', 'call', 'hungry')
  local back = put_back_after(ready, due, claimed, 0)
  if redis.call('EXISTS', lost) == 0 then return end
  for _, m in ipairs(back) do redis.call('HDEL', lost, m) end
end

-- Entries of parked for route lie between these two.
local function parked_range(route)
  local h = redis.sha1hex(route)
  return '[' .. h, '(' .. h .. ':'
end

local function parked_entry(entry) return string.match(entry, '^' .. string.rep('%x', 40) .. '(%d+):(.*)$') end

local function new_tomb(now, reason, answer) return now .. ' ' .. #reason .. ' ' .. reason .. answer end

-- Deletes a dead letter for good; returns how many.
local function bury(m, dead, cards, payloads, history, tombs)
  if redis.call('ZREM', dead, m) == 0 then return 0 end
  for _, key in ipairs({cards, payloads, history, tombs}) do redis.call('HDEL', key, m) end
  return 1
end
