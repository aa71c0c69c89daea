-- Tells whom this node leaves alone, and asks whom the others do. All nodes ask the same clock: that of Redis.
-- KEYS  1 by model: until when (ms), and the node that says so
-- ARGV  1 this node  2 a model to leave alone, or nothing  3 for so many ms
-- Returns model, ms left, model, ms left, ...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f:%s', now + tonumber(ARGV[3]), ARGV[1]))
  redis.call('PEXPIRE', KEYS[1], 3600000)
end
local told, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local till, node = all[i + 1]:match('^(%d+):(.*)$')
  local left = till and tonumber(till) - now or 0
  if left <= 0 then redis.call('HDEL', KEYS[1], all[i])
  elseif node ~= ARGV[1] then
    told[#told + 1] = all[i]
    told[#told + 1] = string.format('%.0f', left)
  end
end
return told
