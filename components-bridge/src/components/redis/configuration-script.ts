import { script } from './script.js';

/**
 * Saves an item in the form told in configuration-keys.ts. KEYS: item, its tags. ARGV: value, what else is kept of it
 * (empty: nothing). Gives the item another version, one more than the last if that was a number.
 */
export const SAVE_CONFIGURATION = script(`
local old = redis.call('GET', KEYS[1])
local last = old and string.match(old, '.*||(%d+)$')
local version = string.format('%.0f', (tonumber(last) or 0) + 1)
redis.call('SET', KEYS[1], ARGV[1] .. '||' .. version)
if ARGV[2] == '' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], version .. '||' .. #ARGV[1] .. '||' .. ARGV[2])
end
return version
`);
