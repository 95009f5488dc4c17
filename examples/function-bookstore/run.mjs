/**
 * Two functions: one says how many of a book there are, and asks the other for the number, which Redis has. Run it by
 * `make example NAME=function-bookstore`.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Redis } from 'ioredis';

import { redisOrValkeyServer } from '../../tools/get.mjs';

const { DAPR_HTTP_ENDPOINT: runtime, EXAMPLE_DIR: folder, EXAMPLE_PORT: port } = process.env;
if (folder === undefined) {
  console.error('run it by: make example NAME=function-bookstore');
  process.exit(1);
}
const sources = fileURLToPath(new URL('assembly/', import.meta.url));
const program = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));

function layotto(...args) {
  return execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' }).trim();
}

const { path } = await redisOrValkeyServer();
const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
const server = spawn(path, options, { stdio: 'ignore' });
const redis = new Redis(Number(port), '127.0.0.1');
// It connects again until the server is there.
redis.on('error', () => undefined);
try {
  for (let tries = 0; ; tries++) {
    if ((await fetch(`${runtime}/v1.0/state/statestore/any`)).status < 300) break;
    if (tries === 300) throw new Error('the state store is not ready after 30 s');
    await sleep(100);
  }
  const functions = { id_1: 'inventory', id_2: 'stock' };
  for (const [id, source] of Object.entries(functions)) {
    const wasm = join(folder, `${source}.wasm`);
    layotto('function', 'build', join(sources, `${source}.ts`), '--out', wasm);
    const pushed = layotto('function', 'push', wasm, '--id', id, '--data-dir', join(folder, '../data'));
    console.log(pushed.replace(/ \(.*\)/, ''));
  }
  await redis.set('book1', '100');
  console.log('redis-cli set book1 100');
  const answer = await fetch('http://localhost:2045/?name=book1', { headers: { id: 'id_1' } });
  const text = await answer.text();
  assert.equal(text, 'There are 100 inventories for book1.\n');
  console.log(`curl -H 'id:id_1' 'localhost:2045?name=book1'\n${text.trim()}`);
} finally {
  redis.disconnect();
  server.kill();
}
