import { existsSync, readFileSync } from 'node:fs';

/** Everything after this line of the file is for the hold mode only. */
const HOLD_MARK = '-- hold mode';

// Next to this file in the sources; two folders up and back down from the compiled dist/envoy.
const CANDIDATES = ['./reply-shim.lua', '../../envoy/reply-shim.lua'];

/**
 * The Lua of the filter `layotto.reply`, without its comments. Outside the hold mode it has no request callback,
 * so requests pass it at no cost.
 *
 * @throws Error if the package lacks envoy/reply-shim.lua
 */
export function replyShim(hold: boolean): string {
  const file = CANDIDATES.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined)
    throw new Error('envoy/reply-shim.lua is missing from the installation; install it again');
  const source = readFileSync(file, 'utf8');
  const mark = source.indexOf(HOLD_MARK);
  const used = hold || mark < 0 ? source : source.slice(0, mark);
  const lines = used.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('--'));
  return `${lines.join('\n')}\n`;
}
