/**
 * A Redis that wants a password. The runtime takes it from a mounted secret; when the secret changes, it opens a new
 * connection and closes the old one after its calls. Run it by `make example NAME=secrets`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { redisOrValkeyServer } from '../../tools/get.mjs';
import { mountSecret } from './kubelet.mjs';

const { DAPR_HTTP_ENDPOINT: runtime, EXAMPLE_DIR: mounts, EXAMPLE_PORT: port } = process.env;
if (mounts === undefined) {
  console.error('run it by: make example NAME=secrets');
  process.exit(1);
}

const [first, second] = ['the first password', 'the second password'];
const secret = join(mounts, 'redis');

async function call(method, path, body) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(`${runtime}/v1.0/${path}`, init);
  return { status: answer.status, body: await answer.text() };
}

async function until(what, probe) {
  for (let tries = 0; tries < 300; tries++) {
    if (await probe()) return;
    await sleep(100);
  }
  throw new Error(`${what}: not within 30 s`);
}

const usable = async () => (await call('GET', 'state/statestore/fruit')).status < 300;

const before = await call('GET', 'state/statestore/fruit');
assert.equal(before.status, 503);
console.log(`no secret yet:        ${JSON.parse(before.body).message.split('is not ready: ')[1]}`);

const { path } = await redisOrValkeyServer();
const options = [
  '--port',
  port,
  '--bind',
  '127.0.0.1',
  '--save',
  '',
  '--requirepass',
  first,
  '--dir',
  mounts,
];
const server = spawn(path, options, { stdio: 'ignore' });
const admin = new Redis(Number(port), '127.0.0.1', { password: first });
// It connects again until the server is there.
admin.on('error', () => undefined);
try {
  mountSecret(secret, { password: first });
  await until('the store is usable', usable);
  console.log('secret mounted:       the store is usable');

  const denied = await call('GET', 'secrets/mounted/redis');
  assert.equal(denied.status, 403);
  console.log(`asked by the app:     ${JSON.parse(denied.body).message}`);

  let failed = 0;
  let calls = 0;
  let changing = true;
  const writing = (async () => {
    while (changing) {
      const { status } = await call('POST', 'state/statestore', [{ key: 'fruit', value: calls++ }]);
      if (status !== 204) failed++;
      await sleep(10);
    }
  })();

  const connections = async () => (await admin.client('LIST', 'TYPE', 'normal')).trim().split('\n');
  const idOf = (line) => /^id=(\d+)/.exec(line)?.[1];
  const old = new Set((await connections()).map(idOf));
  await admin.config('SET', 'requirepass', second);
  mountSecret(secret, { password: second });
  await until('the runtime has let go of its old connection', async () => {
    const ids = (await connections()).map(idOf);
    return ids.some((id) => !old.has(id)) && ids.filter((id) => old.has(id)).length === 1;
  });
  changing = false;
  await writing;
  console.log(`password changed:     ${calls} writes meanwhile, ${failed} failed`);
  assert.equal(failed, 0);
  assert.equal(await usable(), true);
  console.log('from then on:         a connection that knows the new password, and no other');
} finally {
  admin.disconnect();
  server.kill('SIGTERM');
}
