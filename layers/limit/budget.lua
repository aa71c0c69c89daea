-- Books money of one subject. Amounts are whole nanodollars; all nodes ask the same clock: that of Redis.
-- KEYS  1 the books
-- ARGV  1 this node  2 what its calls under way have set aside, without this one  3 to set aside now (-1: nothing is asked)  4 spent
--       5 a day  6 a month  7 in all (each -1 for no limit)  8 after how many ms a silent node is gone  9 the number of this word of the node
-- Returns what forbids it (0 nothing, 1 day, 2 month, 3 total, 4 others may need what is left), seconds to wait, spent today, this month, in all.
local function text(n) return string.format('%.0f', n) end
local time = redis.call('TIME')
local seconds, now = tonumber(time[1]), time[1] * 1000 + math.floor(time[2] / 1000)
local day = math.floor(seconds / 86400)
-- After Hinnant's civil_from_days: months are counted from March of the year 0.
local z = day + 719468
local era = math.floor(z / 146097)
local of_era = z - era * 146097
local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
local month = math.floor((5 * of_year + 2) / 153)
local next_month
if month == 11 then
  local leap = (year + 1) % 4 == 0 and ((year + 1) % 100 ~= 0 or (year + 1) % 400 == 0)
  next_month = leap and 366 or 365
else
  next_month = math.floor((153 * (month + 1) + 2) / 5)
end
local day_ends = (day + 1) * 86400 - seconds
local month_ends = (day + next_month - of_year) * 86400 - seconds
month = (era * 400 + year) * 12 + month
local function field(name) return tonumber(redis.call('HGET', KEYS[1], name) or '0') end
-- A clock that is set back must not give a day twice.
if day > field('day') then redis.call('HSET', KEYS[1], 'day', text(day), 'today', '0') end
if month > field('month') then redis.call('HSET', KEYS[1], 'month', text(month), 'this_month', '0') end
local cost = tonumber(ARGV[4])
if cost ~= 0 then
  for _, name in ipairs({'today', 'this_month', 'total'}) do redis.call('HINCRBY', KEYS[1], name, ARGV[4]) end
end
local today, this_month, total = field('today'), field('this_month'), field('total')
local own, wanted, nth = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[9])
-- Words of a node may overtake each other. What a later one has said of its calls under way holds; an earlier one's is in it already.
local known, latest = (redis.call('HGET', KEYS[1], 'node:' .. ARGV[1]) or ''):match('^(%d+):%d+:(%d+)$')
local late = latest and tonumber(latest) > nth
if late then own = math.max(own, tonumber(known)) end
local function book(aside)
  if not late then redis.call('HSET', KEYS[1], 'node:' .. ARGV[1], text(aside) .. ':' .. text(now) .. ':' .. text(nth)) end
end
if wanted < 0 then
  book(own)
  return {0, 0, text(today), text(this_month), text(total)}
end
local aside = own
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local node = fields[i]:match('^node:(.*)$')
  if node then
    local amount, seen = fields[i + 1]:match('^(%d+):(%d+)')
    if now - tonumber(seen) > tonumber(ARGV[8]) then redis.call('HDEL', KEYS[1], fields[i])
    elseif node ~= ARGV[1] then aside = aside + tonumber(amount) end
  end
end
local fits = true
for i, spent in ipairs({today, this_month, total}) do
  local limit = tonumber(ARGV[4 + i])
  if limit >= 0 then
    if spent >= limit then
      local wait = ({day_ends, month_ends, -1})[i]
      return {i, wait, text(today), text(this_month), text(total)}
    end
    if spent + aside + wanted > limit then fits = false end
  end
end
-- Beyond what is left for certain goes one call a node, the last one.
if not fits and own > 0 then return {4, 1, text(today), text(this_month), text(total)} end
book(own + wanted)
return {0, 0, text(today), text(this_month), text(total)}
