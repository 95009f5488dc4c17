/**
 * A filter of its own on the host layer, as somebody has it who has never seen this repository: the package is packed,
 * installed in a folder elsewhere, and the module that is built there runs in an Envoy that knows nothing of the
 * runtime. Run it by `make example NAME=host-filter`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { envoyBinary } from '../../tools/get.mjs';
import { bootstrap } from './envoy.mjs';

const { EXAMPLE_DIR: dir, EXAMPLE_PORT: port } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=host-filter');
  process.exit(1);
}
const root = fileURLToPath(new URL('../..', import.meta.url));
const npm = (args, cwd) => promisify(execFile)('npm', [...args, '--loglevel=error'], { cwd });

/** A server of this process on a port of its own. */
async function serve(answer) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, close: () => server.close().closeAllConnections() };
}

function get(path, headers, socketPath) {
  return new Promise((resolve, reject) => {
    const to = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
    request({ ...to, path, headers, agent: false }, async (response) => {
      const body = Buffer.concat(await response.toArray()).toString();
      resolve({ status: response.statusCode, body });
    })
      .on('error', reject)
      .end();
  });
}

const elsewhere = join(dir, 'keeper');
await npm(['pack', '--silent', '--pack-destination', dir], join(root, 'assembly/host'));
cpSync(fileURLToPath(new URL('.', import.meta.url)), elsewhere, { recursive: true });
await npm(['install', join(dir, 'layotto-proxy-wasm-0.1.0.tgz')], elsewhere);
await npm(['run', 'build'], elsewhere);
const module = join(elsewhere, 'keeper.wasm');
console.log(
  `built:      keeper.wasm, ${Math.round(readFileSync(module).length / 1024)} KiB, from the package alone`,
);

const visitors = { 'ticket-1': 'Ada', 'ticket-2': 'Bo' };
const office = await serve((request, response) => {
  const visitor = visitors[request.headers['x-ticket']];
  response.writeHead(visitor === undefined ? 404 : 200).end(visitor);
});
const house = await serve((request, response) => response.end(`welcome, ${request.headers['x-visitor']}\n`));
const admin = join(dir, 'admin.sock');
mkdirSync(dir, { recursive: true });
writeFileSync(
  join(dir, 'envoy.json'),
  JSON.stringify(bootstrap({ module, port: Number(port), admin, office: office.port, house: house.port })),
);
const { path: envoy } = await envoyBinary();
const proxy = spawn(envoy, ['-c', join(dir, 'envoy.json'), '--use-dynamic-base-id', '-l', 'error'], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
try {
  while ((await get('/ready', {}, admin).catch(() => undefined))?.status !== 200) {
    assert.equal(proxy.exitCode, null, 'Envoy has ended');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  const show = (what, { status, body }) => console.log(`${what.padEnd(11)} ${status} ${body.trim()}`);
  const good = await get('/', { 'x-ticket': 'ticket-1', 'x-visitor': 'Mallory' });
  assert.deepEqual(good, { status: 200, body: 'welcome, Ada\n' });
  show('ticket-1:', good);
  const bad = await get('/', { 'x-ticket': 'ticket-9' });
  assert.equal(bad.status, 403);
  show('ticket-9:', bad);
  const none = await get('/', {});
  assert.equal(none.status, 401);
  show('no ticket:', none);
  office.close();
  const closed = await get('/', { 'x-ticket': 'ticket-1' });
  assert.equal(closed.status, 503);
  show('closed:', closed);

  const stats = (await get('/stats?filter=keeper_', {}, admin)).body;
  assert.match(stats, /keeper_good: 1\b/);
  assert.match(stats, /keeper_bad: 3\b/);
  console.log('counted:    1 good, 3 bad, in the statistics of Envoy');
} finally {
  house.close();
  office.close();
  proxy.kill('SIGTERM');
  await once(proxy, 'exit');
}
