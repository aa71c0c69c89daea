-- An answer has ended: what it was let through for is corrected to what it has used.
-- KEYS  as in admit.lua
-- ARGV  1 this node  2 its answers under way  3 bucket  4 requests to add  5 tokens to add (either may be negative)
local BUCKET = 250
local function text(n) return string.format('%.0f', n) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2] .. ':' .. text(now))
redis.call('PEXPIRE', KEYS[4], 3600000)
for i, prefix in ipairs({'r', 't'}) do
  local amount, list = tonumber(ARGV[3 + i]), KEYS[1 + i]
  local bucket = ARGV[3]
  if amount > 0 and redis.call('HEXISTS', KEYS[1], prefix .. bucket) == 0 then
    -- It is forgotten where it was taken: what is over counts now.
    bucket = text(math.max(math.floor(now / BUCKET), tonumber(redis.call('LINDEX', list, -1) or '0')))
    if redis.call('LINDEX', list, -1) ~= bucket then redis.call('RPUSH', list, bucket) end
    redis.call('HINCRBY', KEYS[1], prefix .. bucket, amount)
    redis.call('HINCRBY', KEYS[1], prefix, amount)
    redis.call('PEXPIRE', list, 120000)
    redis.call('PEXPIRE', KEYS[1], 120000)
  elseif amount ~= 0 and redis.call('HEXISTS', KEYS[1], prefix .. bucket) == 1 then
    redis.call('HINCRBY', KEYS[1], prefix .. bucket, amount)
    redis.call('HINCRBY', KEYS[1], prefix, amount)
  end
end
return 0
