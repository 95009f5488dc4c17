import { existsSync, readFileSync } from 'node:fs';

import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** Everything after this line of the file is for the hold mode only. */
const HOLD_MARK = '-- hold mode';

/** What routes call the script that makes HTTP calls the OnInvoke of a callee. */
export const ON_INVOKE = 'on_invoke';

/**
 * The Lua of the filter `layotto.reply`, without its comments. Outside the hold mode it has no request callback,
 * so requests pass it at no cost.
 *
 * @throws Error if the package lacks envoy/reply-shim.lua
 */
export function replyShim(hold: boolean): string {
  const source = script('reply-shim.lua');
  const mark = source.indexOf(HOLD_MARK);
  return withoutComments(hold || mark < 0 ? source : source.slice(0, mark));
}

/**
 * The typed config of the filter `layotto.reply`. Where a callee speaks gRPC it has a script more, which runs on routes
 * that name it.
 *
 * @param routesChange routes come and go without it, so that it has that script for any that may come
 * @throws Error if the package lacks a script
 */
export function replyConfig(
  { callees = {} }: Pick<RuntimeConfig, 'callees'>,
  { hold, routesChange = false }: { hold: boolean; routesChange?: boolean },
): EnvoyObject {
  const grpc = Object.values(callees).some(({ protocol }) => protocol === 'grpc');
  const more =
    grpc || routesChange
      ? { source_codes: { [ON_INVOKE]: { inline_string: withoutComments(script('on-invoke.lua')) } } }
      : {};
  return { '@type': TYPES.lua, default_source_code: { inline_string: replyShim(hold) }, ...more };
}

function script(name: string): string {
  // Next to this file in the sources; two folders up and back down from the compiled dist/envoy.
  const file = [`./${name}`, `../../envoy/${name}`]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  if (file === undefined) throw new Error(`envoy/${name} is missing from the installation; install it again`);
  return readFileSync(file, 'utf8');
}

function withoutComments(source: string): string {
  const lines = source.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('--'));
  return `${lines.join('\n')}\n`;
}
