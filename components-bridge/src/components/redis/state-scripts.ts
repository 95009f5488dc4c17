import { script } from './script.js';

/**
 * What Redis does for the state store. The stored form is Dapr's and Layotto's: a hash with the fields `data` and
 * `version`. Their third field, `first-write`, is neither written nor heeded: it would make a key that was once saved
 * with first-write refuse every later unconditional save.
 *
 * A plain string, such as `redis-cli set` makes, is read as a value without a version, and replaced when saved. A key
 * of another type is left alone.
 *
 * Every script returns nil when done, else a text: `=` and the version found, if the demanded one is not there (`=`
 * alone: the key has none), or `+` if the key exists and must not.
 */

/** Sets `version` (false: the key is absent) and `plain` (it is a string) of KEYS[i]. */
const LOOK = `
local function look(key)
  local version = redis.pcall('HGET', key, 'version')
  if type(version) ~= 'table' then
    return version or (redis.call('EXISTS', key) == 1 and ''), false
  end
  local found = redis.call('TYPE', key).ok
  if found ~= 'string' then
    return nil, false, redis.error_reply('the key holds a ' .. found .. ', which is not state')
  end
  return '', true
end
local function refused(version, demand)
  if demand == '' or not version then return false end
  if demand == '+' then return '+' end
  if version ~= demand then return '=' .. version end
  return false
end
local function write(key, plain, value, ttl)
  if plain then redis.call('DEL', key) end
  redis.call('HINCRBY', key, 'version', 1)
  redis.call('HSET', key, 'data', value)
  if ttl == '' then return end
  if tonumber(ttl) > 0 then
    redis.call('EXPIRE', key, ttl)
  else
    redis.call('PERSIST', key)
  end
end
`;

/** KEYS: key. ARGV: value, demand (empty, `+` for absent, or a version), ttl in seconds (empty: leave it). */
const SAVE = `${LOOK}
local version, plain, err = look(KEYS[1])
if err then return err end
local no = refused(version, ARGV[2])
if no then return no end
write(KEYS[1], plain, ARGV[1], ARGV[3])
return false
`;

/** KEYS: key. ARGV: demand (a version). */
const DELETE = `${LOOK}
local version, plain, err = look(KEYS[1])
if err then return err end
local no = refused(version, ARGV[1])
if no then return no end
redis.call('DEL', KEYS[1])
return false
`;

/**
 * KEYS: one per operation. ARGV: per operation `s` or `d`, value, demand, ttl. Redis does not undo a script that fails
 * half way, so everything is checked first, each operation against what those before it will have left.
 * Returns nil, or the operation's number from 0, a space, and the text above.
 */
const TRANSACT = `${LOOK}
local now, plain = {}, {}
for i, key in ipairs(KEYS) do
  local at = 4 * (i - 1)
  if now[key] == nil then
    local version, isPlain, err = look(key)
    if err then return err end
    now[key], plain[key] = version, isPlain
  end
  local no = refused(now[key], ARGV[at + 3])
  if no then return (i - 1) .. ' ' .. no end
  if ARGV[at + 1] == 'd' then
    now[key] = false
  else
    local version = now[key]
    if not version or version == '' then version = '0' end
    if not string.match(version, '^%d+$') then
      return redis.error_reply('the version of ' .. key .. ' is not a number')
    end
    now[key] = string.format('%.0f', tonumber(version) + 1)
  end
end
for i, key in ipairs(KEYS) do
  local at = 4 * (i - 1)
  if ARGV[at + 1] == 'd' then
    redis.call('DEL', key)
  else
    write(key, plain[key], ARGV[at + 2], ARGV[at + 4])
  end
  plain[key] = false
end
return false
`;

export const SCRIPTS = {
  save: script(SAVE),
  delete: script(DELETE),
  transact: script(TRANSACT),
} as const;
