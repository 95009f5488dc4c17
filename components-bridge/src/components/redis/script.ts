import { createHash } from 'node:crypto';

import type { Redis } from 'ioredis';

import { answerCode } from './failure.js';

/** A script, and the name by which a server that has seen it knows it. */
export interface Script {
  lua: string;
  sha: string;
}

export function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Runs a script, by its name first; a server that does not know it has done nothing and is sent the whole.
 *
 * @param next gives the client for a command
 */
export async function evaluate(
  next: () => Redis,
  { lua, sha }: Script,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  try {
    return await next().evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (answerCode(error) !== 'NOSCRIPT') throw error;
    return next().eval(lua, keys.length, ...keys, ...args);
  }
}
