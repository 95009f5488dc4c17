import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { endWithThis } from './child.mjs';

/**
 * The loop of redis-loop.mjs. It lives as long as the run, as the bridge does, so that its code is compiled once.
 *
 * @param {number} redisPort
 */
export function startRedisLoop(redisPort) {
  return startLoop('ioredis loop', 'redis-loop.mjs', [String(redisPort), 'bench:loop']);
}

/**
 * A program of this folder that says when it is ready, and then does what each message tells it and says what it found.
 *
 * @param {string} name what the report calls it
 * @param {string} program
 * @param {string[]} args
 */
export async function startLoop(name, program, args) {
  const child = fork(fileURLToPath(new URL(program, import.meta.url)), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  endWithThis(child);
  const ended = once(child, 'exit');
  const answer = async () => {
    const message = await Promise.race([once(child, 'message'), ended.then(() => undefined)]);
    if (message === undefined) throw new Error(`the ${name} ended`);
    return message[0];
  };
  await answer();
  return {
    name,
    pid: child.pid,
    run: (what) => {
      child.send(what);
      return answer();
    },
    stop: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
