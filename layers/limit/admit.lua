-- Lets a request of one subject through, or says what forbids it. All nodes ask the same clock: that of Redis.
-- KEYS  1 sums and buckets  2 buckets of requests, oldest first  3 those of tokens  4 answers under way, by node
-- ARGV  1 requests a minute  2 tokens a minute  3 at a time (each -1 for no limit)  4 tokens wanted
--       5 this node  6 its answers under way, this one included  7 after how many ms a silent node is gone
-- Returns what forbids it (0 nothing, 1 at a time, 2 requests, 3 tokens), ms to wait, requests, tokens, ms until all are forgotten, bucket.
local BUCKET, BUCKETS = 250, 241
local function text(n) return string.format('%.0f', n) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = math.floor(now / BUCKET)
for i = 2, 3 do
  -- A clock that was set back: a little is waited out, more is begun anew.
  local last = tonumber(redis.call('LINDEX', KEYS[i], -1) or '0')
  if last - bucket > BUCKETS then redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  elseif last > bucket then bucket = last end
end
local function sum(list, prefix)
  local all = tonumber(redis.call('HGET', KEYS[1], prefix) or '0')
  local head = redis.call('LINDEX', list, 0)
  while head and tonumber(head) <= bucket - BUCKETS do
    all = all - tonumber(redis.call('HGET', KEYS[1], prefix .. head) or '0')
    redis.call('LPOP', list)
    redis.call('HDEL', KEYS[1], prefix .. head)
    head = redis.call('LINDEX', list, 0)
  end
  if not head then all = 0 end
  redis.call('HSET', KEYS[1], prefix, text(all))
  return all
end
local function wait(list, prefix, free)
  for _, at in ipairs(redis.call('LRANGE', list, 0, -1)) do
    free = free - tonumber(redis.call('HGET', KEYS[1], prefix .. at) or '0')
    if free <= 0 then return (tonumber(at) + BUCKETS) * BUCKET - now end
  end
  return 60000
end
local function add(list, prefix, amount)
  if redis.call('LINDEX', list, -1) ~= text(bucket) then redis.call('RPUSH', list, text(bucket)) end
  redis.call('HINCRBY', KEYS[1], prefix .. text(bucket), amount)
  redis.call('HINCRBY', KEYS[1], prefix, amount)
  redis.call('PEXPIRE', list, 120000)
end
local most, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
if most >= 0 then
  local held = tonumber(ARGV[6])
  local nodes = redis.call('HGETALL', KEYS[4])
  for i = 1, #nodes, 2 do
    local count, seen = nodes[i + 1]:match('^(%d+):(%d+)$')
    if now - tonumber(seen) > tonumber(ARGV[7]) then redis.call('HDEL', KEYS[4], nodes[i])
    elseif nodes[i] ~= ARGV[5] then held = held + tonumber(count) end
  end
  if held > most then return {1, 1000, 0, 0, 0, 0} end
end
local requests, tokens = sum(KEYS[2], 'r'), sum(KEYS[3], 't')
local rpm, tpm = tonumber(ARGV[1]), tonumber(ARGV[2])
if rpm >= 0 and requests >= rpm then
  return {2, wait(KEYS[2], 'r', requests + 1 - rpm), requests, tokens, 0, 0}
end
if tpm >= 0 and tokens > 0 and tokens + wanted > tpm then
  return {3, wait(KEYS[3], 't', tokens + wanted - tpm), requests, tokens, 0, 0}
end
add(KEYS[2], 'r', 1)
add(KEYS[3], 't', wanted)
redis.call('PEXPIRE', KEYS[1], 120000)
redis.call('HSET', KEYS[4], ARGV[5], ARGV[6] .. ':' .. text(now))
redis.call('PEXPIRE', KEYS[4], 3600000)
return {0, 0, requests + 1, tokens + wanted, wait(KEYS[2], 'r', 1e15), bucket}
