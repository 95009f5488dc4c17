/**
 * An app whose calls are encrypted and repeated from one moment to the next, because a module is pushed.
 * Run it by `make example NAME=reloadable-sdk`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePort } from '../../tools/free-port.mjs';
import { Service } from './service.mjs';

const { EXAMPLE_DIR: dir, EXAMPLE_PORT: port, PORT: runtimePort } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=reloadable-sdk');
  process.exit(1);
}
const CALLS = 20_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const layotto = join(root, 'cli/bin/layotto.js');
const data = join(dir, 'data');
const run = promisify(execFile);

/** Compiles a module; it stands in assembly/ beside this file. */
async function compile(name) {
  const module = join(dir, `${name}.wasm`);
  const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
  const source = `examples/reloadable-sdk/assembly/${name}.ts`;
  const flags = ['-O3', '--noAssert', '--runtime', 'minimal', '--use', 'abort=assembly/host/log/abort'];
  await run(process.execPath, [asc, source, '--outFile', module, ...flags], { cwd: root });
  return module;
}

/** `layotto module …`; says what it said. */
async function module(...args) {
  const { stdout } = await run(process.execPath, [layotto, 'module', ...args, '--data-dir', data]);
  return stdout.trim();
}

const key = randomBytes(32);
const service = new Service(key);
const outbound = await freePort();
const config = join(dir, 'layotto.yaml');
writeFileSync(
  config,
  `outbound:\n  - { name: orders, listen: ${outbound}, to: "127.0.0.1:${port}" }\nmodules: { slots: 0 }\n`,
);
const keyFile = join(dir, 'key');
writeFileSync(keyFile, key.toString('hex'), { mode: 0o600 });

let runtime;
try {
  await service.listen(Number(port));
  const [plain, encrypted] = await Promise.all(['plain', 'encrypted'].map(compile));
  const args = ['run', '-c', config, '--port', runtimePort, '--metrics-port', '0', '--data-dir', data];
  runtime = spawn(process.execPath, [layotto, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines = createInterface({ input: runtime.stderr });
  for await (const line of lines) if (line.includes('ready in')) break;
  runtime.stderr.resume();
  await module('push', plain, '--name', 'orders');

  const app = spawn(process.execPath, [fileURLToPath(new URL('app.mjs', import.meta.url)), outbound, CALLS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(app, 'exit');
  const seen = [];
  const told = createInterface({ input: app.stdout })[Symbol.asyncIterator]();
  /** Until the app has made so many calls. */
  const until = async (calls) => {
    for (let at = 0; at < calls;) {
      const { value, done } = await told.next();
      assert.ok(!done, 'the app ended early');
      seen.push(value);
      at = Number(/: (\d+) calls/.exec(value)[1]);
    }
  };

  await until(4_000);
  assert.equal(service.encrypted, 0);
  console.log(`version 1:    calls go as they are: ${service.plain} of them`);

  await module('push', encrypted, '--name', 'orders', '--config', keyFile);
  service.refuseEvery = 50;
  await until(14_000);
  const { encrypted: came, refused } = service;
  assert.ok(came > 0 && refused > 0);
  console.log(`version 2:    pushed; ${came} calls came encrypted with ChaCha20`);
  console.log(`              the service answered ${refused} of them with 503; Envoy repeated those`);

  service.refuseEvery = 0;
  const plainBefore = service.plain;
  await module('rollback', 'orders');
  await until(CALLS);
  const [code] = await ended;
  assert.equal(code, 0);
  assert.ok(service.plain > plainBefore);
  console.log(`rolled back:  ${service.plain - plainBefore} calls came as they are again`);

  const last = seen.at(-1);
  assert.ok(seen.every((line) => line.startsWith(`app ${app.pid}: `)));
  assert.match(last, /: 20000 calls, 0 failed$/);
  console.log(`the app:      one process, ${CALLS} calls, 0 failed`);
} finally {
  service.close();
  if (runtime !== undefined && runtime.exitCode === null) {
    runtime.kill('SIGTERM');
    await once(runtime, 'exit');
  }
}
