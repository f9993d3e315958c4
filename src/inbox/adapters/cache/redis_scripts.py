"""What Redis does by itself, each script in one step.

`clock` is a hash: `run`, the server's run; `id`, random, new whenever the hash was lost or is that of another run, as
after a restart on old data; and `n`, which every load and every forgetting raises.
A load draws its tick before it begins. A tag's key holds `id tick` of its last forgetting. An entry, `id tick payload`,
is good while all the ids are the clock's and its tick is not below that of any of its tags. Ticks need no wall clock
that machines agree on. A tag's key that is missing was lost: it is made anew, and what was stored before is not used.
"""

from typing import Final

_TICK: Final = """
local function last(tag, id)
  local found = redis.pcall('GET', tag)
  if type(found) ~= 'string' then
    return nil
  end
  local of, tick = string.match(found, '^(%x+) (%d+)$')
  return of == id and tonumber(tick) or nil
end
"""

_CLOCK: Final = """
local function clock()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local c = redis.pcall('HMGET', KEYS[1], 'run', 'id', 'n')
  if not c.err and c[1] == run and string.match(c[2] or '', '^%x+$') then
    return c[2], tonumber(c[3]), run
  end
  return nil, nil, run
end
local function started(fresh)
  local id, now, run = clock()
  if id and now then
    return id, now
  end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'run', run, 'id', fresh, 'n', 0)
  return fresh, 0
end
local function draw(kept)
  local tick = redis.call('HINCRBY', KEYS[1], 'n', 1) -- first: a server that is full refuses it
  redis.call('PEXPIRE', KEYS[1], kept)
  return tick
end
"""

READ: Final = (
    _TICK
    + _CLOCK
    + """
-- KEYS: clock, entry, tags. ARGV: id for a new clock, ms that clock and tags are kept, the caller's id of the clock,
-- the tick that an entry must be above ('' if none will do).
-- Gives {id, now, tick, ms left, payload} of a good entry, else {id, now, tick for a load}.
local id, now = started(ARGV[1])
local tags = {}
for i = 3, #KEYS do
  tags[i] = last(KEYS[i], id)
end
if id == ARGV[3] and ARGV[4] ~= '' then
  local entry = redis.pcall('GET', KEYS[2])
  local left = redis.call('PTTL', KEYS[2])
  if type(entry) == 'string' and left > 0 then
    local made, tick, payload = string.match(entry, '^(%x+) (%d+) (.*)$')
    tick = tonumber(tick)
    local good = made == id and tick > tonumber(ARGV[4])
    for i = 3, #KEYS do
      good = good and tags[i] and tick >= tags[i]
    end
    if good then
      return {id, now, tick, left, payload}
    end
  end
end
local tick = draw(ARGV[2])
for i = 3, #KEYS do
  if not tags[i] then
    redis.call('SET', KEYS[i], id .. ' ' .. tick, 'PX', ARGV[2])
  end
end
return {id, now, tick}
"""
)

STORE: Final = (
    _TICK
    + _CLOCK
    + """
-- KEYS: clock, entry, tags. ARGV: id and tick of the load, ms that it is good, payload.
-- Not if something of it was forgotten since: what took its place meanwhile stays.
local id = clock()
if id ~= ARGV[1] then
  return 0
end
for i = 3, #KEYS do
  local tick = last(KEYS[i], id)
  if not tick or tick > tonumber(ARGV[2]) then
    return 0
  end
end
redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[4], 'PX', ARGV[3])
return 1
"""
)

FORGET: Final = (
    _CLOCK
    + """
-- KEYS: clock, tags. ARGV: id for a new clock, ms that clock and tags are kept.
local id = started(ARGV[1])
local tick = draw(ARGV[2])
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], id .. ' ' .. tick, 'PX', ARGV[2])
end
return tick
"""
)
