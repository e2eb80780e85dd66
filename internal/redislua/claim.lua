-- Takes or renews a claim, and hands out messages.
--
-- KEYS  state ready due claimed parked routes cards payloads lost
-- ARGV  1 token, "" to take the lane
--       2 random text of this take: repeated after a lost answer, it gets the same token again
--       3 number of this claim, growing with each under a token; 0 for one more than the last
--       4 number of the last claim under the token whose answer has arrived; -1 if that is not known.
--         What later ones have handed out was heard by nobody, and is undone first
--       5 how many settlings in this lane there have been, as far as is known
--       6 messages at most   7 payload bytes at most, 0 for any   8 time to live in ms
--       9 how many routes follow that the caller does not know: their messages are parked
--       10 how many routes follow that it knows: their parked messages come back
--       11 how many messages follow that were claimed under the token and are to be parked
-- Returns {0} stale, {-1} busy,
--       {2, number of the last claim} when this one has a lower number: it was overtaken on its way, or
--       {1, token, number of this claim, failures, refusals, paused by an operator, wait ms, more,
--        parked now, ms since the take, withheld, time on the lane's clock,
--        routes of all that is parked, {message, card or nil, payload or nil, times lost, ...}}
--       withheld: nothing is handed out before the caller has said of each parked route whether it
--       knows it, and has its own back, as those may be the oldest.
--
-- A claim of which Redis remembers less than its holder does is over: Redis has lost its last
-- steps, in a failover or a crash, and no longer agrees with the holder on what is in hand.

local state, ready, due, claimed, parked, routes, cards, payloads, lost = unpack(KEYS)
local token, take, number, ack, settles = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local max, max_bytes, ttl = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local page, most = 100, 1000 -- of one look, and of all that is moved in one run

local now = clock()
local s = redis.call('HMGET', state, 'token', 'until', 'call', 'pause', 'failures', 'parked', 'taken',
  'settles', 'refusals', 'paused', 'rested')
local holder, call, pause, taken, paused = s[1], num(s[3]), num(s[4]), num(s[7]), s[10]
local n_parked, idle = num(s[6]), paused or pause > now

local again = token == '' and holder and string.match(holder, '^%d+%-(.*)$') == take
if token ~= '' and token ~= holder then return {0} end
if token == '' and holder and not again and num(s[2]) > now then return {-1} end
if (token ~= '' or again) and number > 0 and number < call then return {2, call} end
if token ~= '' and (call < ack or num(s[8]) < settles) then
  give_up(state, ready, due, claimed, lost)
  return {0}
end

redis.call('HDEL', state, (token == '' or max > 0) and 'hungry' or '')
if again then
  token, ack = holder, 0
elseif token == '' then
  for _, m in ipairs(put_back_after(ready, due, claimed, 0)) do redis.call('HINCRBY', lost, m, 1) end
  token, taken, call, ack = redis.call('HINCRBY', state, 'epoch', 1) .. '-' .. take, now, 0, 0
end
if ack >= 0 and call > ack then put_back_after(ready, due, claimed, ack) end
call = number > 0 and number or call + 1
redis.call('HSET', state, 'token', token, 'until', now + ttl, 'taken', taken, 'call', call)

local unknown, arg = {}, 11
for _ = 1, tonumber(ARGV[9]) do
  arg = arg + 1
  unknown[ARGV[arg]] = true
end

local function park(m, seq, route)
  redis.call('HSETNX', routes, route, now)
  redis.call('ZADD', parked, 0, redis.sha1hex(route) .. pad(seq) .. ':' .. m)
end

-- Brings back messages of a route; returns how many, and whether these were all.
local function unpark(route, limit)
  local low, high = parked_range(route)
  local entries = redis.call('ZRANGEBYLEX', parked, low, high, 'LIMIT', 0, limit)
  for _, entry in ipairs(entries) do
    local seq, m = parked_entry(entry)
    redis.call('ZREM', parked, entry)
    redis.call('ZADD', ready, tonumber(seq), m)
  end
  local all = redis.call('ZRANGEBYLEX', parked, low, high, 'LIMIT', 0, 1)[1] == nil
  if all then redis.call('HDEL', routes, route) end
  return #entries, all
end

local moved = 0
for _ = 1, tonumber(ARGV[10]) do
  arg = arg + 1
  if moved < most then moved = moved + unpark(ARGV[arg], most - moved) end
end
local parked_now = 0
for _ = 1, tonumber(ARGV[11]) do
  arg = arg + 1
  local m = ARGV[arg]
  local place = redis.call('HGET', claimed, m)
  if place then
    redis.call('HDEL', claimed, m)
    park(m, string.match(place, '^%d+ (%d+)'), read_card(redis.call('HGET', cards, m)).route)
    parked_now = parked_now + 1
  end
end

local listed = {}
if n_parked + parked_now - moved > 0 then listed = redis.call('HKEYS', routes) end
local withheld = 0
for _, route in ipairs(listed) do
  if not unknown[route] and max > 0 and not idle then withheld = 1 end
end

local out, bytes, more, full = {}, 0, 0, false
local any_lost = max > 0 and redis.call('EXISTS', lost) == 1

-- Hands out from a page of {message, due, seq, entry}; sets full when there is no more room.
local function hand(from, entries)
  local names = {}
  for i, e in ipairs(entries) do names[i] = e.m end
  local found = redis.call('HMGET', cards, unpack(names))
  for i, e in ipairs(entries) do
    local card = read_card(found[i])
    if unknown[card.route] then
      park(e.m, e.seq, card.route)
      parked_now = parked_now + 1
    elseif #out >= 4 * max or (max_bytes > 0 and #out > 0 and bytes + card.size > max_bytes) then
      full = true
      return
    else
      redis.call('HSET', claimed, e.m, e.due .. ' ' .. e.seq .. ' ' .. call)
      bytes = bytes + card.size
      out[#out + 1] = e.m
      out[#out + 1] = found[i]
      out[#out + 1] = redis.call('HGET', payloads, e.m)
      out[#out + 1] = any_lost and num(redis.call('HGET', lost, e.m)) or 0
    end
    redis.call('ZREM', from, e.entry)
  end
end

local function look(from)
  local want = math.min(page, max - #out / 4 + 1)
  local entries = {}
  if from == ready then
    local r = redis.call('ZRANGE', ready, 0, want - 1, 'WITHSCORES')
    for i = 1, #r, 2 do entries[#entries + 1] = {m = r[i], due = '0', seq = r[i + 1], entry = r[i]} end
  else
    local r = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'WITHSCORES', 'LIMIT', 0, want)
    for i = 1, #r, 2 do
      local seq, m = string.match(r[i], '^(%d+):(.*)$')
      entries[#entries + 1] = {m = m, due = r[i + 1], seq = tonumber(seq), entry = r[i]}
    end
  end
  return entries, #entries < want
end

-- What is due comes first, then the ready.
local function fill(from)
  local last = false
  while not last and not full do
    local entries
    entries, last = look(from)
    if #entries > 0 then hand(from, entries) end
    if parked_now >= most then full = true end
  end
end

local wait = math.max(0, pause - now)
if not idle and max > 0 and withheld == 0 then
  fill(due)
  if not full then fill(ready) end
  if full then
    more = 1
  else
    redis.call('HSET', state, 'hungry', 1)
    local next = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
    if next then wait = tonumber(next) - now end
  end
end

if parked_now ~= moved then redis.call('HINCRBY', state, 'parked', parked_now - moved) end
if parked_now > 0 then listed = redis.call('HKEYS', routes) end
return {1, token, call, num(s[5]), num(s[9]), paused and 1 or 0, wait, more, parked_now, now - taken,
  withheld, lane_clock(now, paused, s[11]), listed, out}
