import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { endWithThis } from './child.mjs';

/**
 * The loop of redis-loop.mjs. It lives as long as the run, as the bridge does, so that its code is compiled once.
 *
 * @param {number} redisPort
 */
export async function startRedisLoop(redisPort) {
  const program = fileURLToPath(new URL('redis-loop.mjs', import.meta.url));
  const child = fork(program, [String(redisPort), 'bench:loop'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  endWithThis(child);
  const ended = once(child, 'exit');
  const answer = async () => {
    const message = await Promise.race([once(child, 'message'), ended.then(() => undefined)]);
    if (message === undefined) throw new Error('the ioredis loop ended');
    return message[0];
  };
  await answer();
  return {
    name: 'ioredis loop',
    pid: child.pid,
    run: ({ inflight, seconds }) => {
      child.send({ inflight, seconds });
      return answer();
    },
    stop: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
