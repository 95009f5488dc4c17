/**
 * Two workers compete for a lock on Redis. One is paused past the end of its lock and writes all the same; one crashes.
 * Run it by `make example NAME=lock-redis`.
 */
import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

import { redisOrValkeyServer } from '../../tools/get.mjs';

const { DAPR_HTTP_ENDPOINT: runtime, EXAMPLE_DIR: dir, EXAMPLE_PORT: port } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=lock-redis');
  process.exit(1);
}

/** What the lock guards. It takes no token smaller than the greatest it has seen. */
const ledger = {
  greatest: 0n,
  write(token) {
    if (BigInt(token) < this.greatest) return 'refused';
    this.greatest = BigInt(token);
    return 'written';
  },
};

const SECONDS = 2;
const file = fileURLToPath(new URL('worker.mjs', import.meta.url));

class Worker {
  constructor(name) {
    this.name = name;
    this.process = fork(file, [name, String(SECONDS)]);
  }

  tell(command) {
    this.process.send(command);
  }

  /** What it says next. */
  async says() {
    const [message] = await once(this.process, 'message');
    return message;
  }
}

async function untilReady() {
  const body = JSON.stringify({ resourceId: 'nothing', lockOwner: 'nobody' });
  for (let tries = 0; tries < 300; tries++) {
    const { status } = await fetch(`${runtime}/v1.0-alpha1/unlock/lockstore`, { method: 'POST', body });
    if (status === 200) return;
    await sleep(100);
  }
  throw new Error('the lock store is not ready within 30 s');
}

const { path } = await redisOrValkeyServer();
const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', dir];
const server = spawn(path, options, { stdio: 'ignore' });
const workers = [];
try {
  await untilReady();
  const [one, two] = ['Ada', 'Bo'].map((name) => new Worker(name));
  workers.push(one, two);

  for (const worker of workers) worker.tell('compete');
  const taken = (worker) => worker.says().then(({ token }) => ({ worker, token }));
  const waiting = new Map(workers.map((worker) => [worker, taken(worker)]));
  const first = await Promise.race(waiting.values());
  const other = first.worker === one ? two : one;
  console.log(`both compete:     ${first.worker.name} has the lock, token ${first.token}`);

  first.worker.tell('write');
  assert.equal(ledger.write((await first.worker.says()).token), 'written');
  first.worker.process.kill('SIGSTOP');
  console.log(`paused:           ${first.worker.name} stands still, longer than its ${SECONDS} s`);

  const second = await waiting.get(other);
  assert.ok(BigInt(second.token) > BigInt(first.token));
  other.tell('write');
  assert.equal(ledger.write((await other.says()).token), 'written');
  console.log(`lock expired:     ${other.name} has it, token ${second.token}, and has written`);

  first.worker.process.kill('SIGCONT');
  first.worker.tell('write');
  const stale = ledger.write((await first.worker.says()).token);
  assert.equal(stale, 'refused');
  console.log(`back again:       ${first.worker.name} writes with token ${first.token}: ${stale}`);

  first.worker.tell('unlock');
  const { status } = await first.worker.says();
  assert.equal(status, 2);
  console.log(`                  and unlocks: status ${status}, it is another's`);

  first.worker.tell('compete');
  const next = first.worker.says();
  other.process.kill('SIGKILL');
  const third = await next;
  assert.ok(BigInt(third.token) > BigInt(second.token));
  console.log(
    `${other.name} crashes:`.padEnd(18) + `${first.worker.name} has the lock, token ${third.token}`,
  );
} finally {
  for (const worker of workers) worker.process.kill('SIGKILL');
  server.kill('SIGTERM');
}
