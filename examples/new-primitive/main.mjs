/**
 * A primitive that the runtime has never heard of comes and goes while 50,000 calls to another one go on. Its bridge
 * half is a module first, and a process in Python then. Run it by `make example NAME=new-primitive`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Client, credentials } from '@grpc/grpc-js';

import { callGrpc, callHttp } from '../../dist/cli/src/testing.js';
import { GRPC_PACKAGES, pythonWith } from '../../tools/python.mjs';

const { EXAMPLE_DIR: dir, PORT: runtimePort } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=new-primitive');
  process.exit(1);
}
const CALLS = 50_000;
const IN_FLIGHT = 16;
const port = Number(runtimePort);
const here = dirname(fileURLToPath(import.meta.url));
const layotto = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));
const data = join(dir, 'data');
const config = join(dir, 'layotto.yaml');
const socket = join(dir, 'rate.sock');
const run = promisify(execFile);

/** What `layotto …` prints. */
async function command(...args) {
  const { stdout } = await run(process.execPath, [layotto, ...args], { cwd: dir });
  return stdout.trim();
}

/** `layotto module …` of the runtime that runs here. */
const module = (...args) => command('module', ...args, '--data-dir', data);

/** Starts a program, and waits until it has said something. */
async function start(path, args, stream, said) {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [];
  for await (const line of createInterface({ input: child[stream] })) {
    lines.push(line);
    if (line.includes(said)) break;
  }
  assert.ok(lines.at(-1)?.includes(said), `it did not start:\n${lines.join('\n')}`);
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

async function stop(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Calls of another primitive: as many as there are to be, and until they may end. */
class Load {
  done = 0;
  failed = 0;
  mayEnd = false;
  #agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });

  async run() {
    const worker = async (id) => {
      while (this.done < CALLS || !this.mayEnd) {
        this.done++;
        const saving = this.done % 2 === 0;
        const path = saving ? '/v1.0/state/statestore' : `/v1.0/state/statestore/key-${id}`;
        const status = await this.#call(
          path,
          saving ? JSON.stringify([{ key: `key-${id}`, value: id }]) : undefined,
        );
        if (status !== 200 && status !== 204) this.failed++;
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, (_, id) => worker(id)));
    this.#agent.destroy();
  }

  #call(path, body) {
    return new Promise((resolve) => {
      const method = body === undefined ? 'GET' : 'POST';
      const call = request({ port, path, method, agent: this.#agent }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      });
      call.on('error', () => resolve(0));
      call.end(body);
    });
  }
}

/** Waits until something holds. */
async function until(what, holds) {
  for (let tries = 0; tries < 300; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it did not come about: ${what}`);
}

const STORE = '  - { name: statestore, type: state.embedded }\n';
/** The component, with more or other settings. */
const counter = (more) => `  - { name: counter, type: ./rate-counter/bridge${more} }\n`;
/** Writes layotto.yaml; the runtime takes it over by itself. */
const configure = (...components) => writeFileSync(config, `components:\n${STORE}${components.join('')}`);

const components = async () => (await callHttp(port, 'GET', '/v1.0/metadata')).body.components;
const typeOfCounter = async () => (await components()).find(({ name }) => name === 'counter')?.type;

/** One call by each door. */
async function byEveryDoor(key) {
  const description = JSON.parse(readFileSync(join(dir, 'rate-counter/bridge/primitive.json'), 'utf8'));
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const message = { componentName: 'counter', key };
  const { count } = await callGrpc(client, description, 'Increment', message);
  client.close();
  const http = await callHttp(port, 'POST', `/v1.0/rate-counter/counter/${key}`);
  const json = await callHttp(port, 'POST', '/v1.0-layotto/rate-counter/Increment', message);
  assert.deepEqual([count, http.body.count, json.body.count], [1, 2, 3]);
  return `gRPC says ${count}, HTTP ${http.body.count}, JSON ${json.body.count}`;
}

let runtime;
let python;
try {
  cpSync(join(here, 'rate-counter'), join(dir, 'rate-counter'), { recursive: true });
  const [built] = (await command('primitive', 'build', 'rate-counter')).split('\n');
  const lines = readFileSync(join(here, 'rate-counter/filter/index.ts'), 'utf8').trim().split('\n').length;
  assert.ok(lines < 100);
  console.log(`built:         ${built} of ${lines} lines`);

  configure();
  const args = ['run', '-c', config, '--port', runtimePort, '--metrics-port', '0', '--data-dir', data];
  runtime = await start(process.execPath, [layotto, ...args], 'stderr', 'ready in');
  const load = new Load();
  const loaded = load.run();

  configure(counter(''));
  await until('the component is there', async () => (await typeOfCounter()) === 'rate-counter.module');
  await module('push', built, '--name', 'slot-1');
  console.log(`a module:      ${await byEveryDoor('visits')}`);

  python = await start(
    await pythonWith(GRPC_PACKAGES),
    [join(here, 'process/server.py'), socket, join(dir, 'rate-counter/bridge/primitive.json')],
    'stdout',
    'serves',
  );
  configure(counter(', socket: ./rate.sock'));
  await until('the process has taken over', async () => (await typeOfCounter()) === 'rate-counter.process');
  console.log(`a process:     ${await byEveryDoor('orders')}`);

  await module('rollback', 'slot-1');
  configure();
  await until('the component has gone', async () => (await typeOfCounter()) === undefined);
  const { status } = await callHttp(port, 'POST', '/v1.0/rate-counter/counter/visits');
  assert.equal(status, 404);
  console.log('rolled back:   nobody knows a rate-counter any more');

  load.mayEnd = true;
  await loaded;
  assert.ok(load.done >= CALLS);
  assert.equal(load.failed, 0);
  console.log(`meanwhile:     ${load.done} calls of state, ${load.failed} failed`);
  const stats = await new Promise((resolve, reject) => {
    const call = request({
      socketPath: join(data, 'envoy-admin.sock'),
      path: '/stats?filter=listener_modified',
    });
    call.on('response', async (answer) => resolve((await answer.toArray()).join('')));
    call.on('error', reject);
    call.end();
  });
  const modified = Number(/listener_modified: (\d+)/.exec(stats)[1]);
  assert.equal(modified, 0);
  console.log(`Envoy:         listener changed ${modified} times`);
} finally {
  await stop(python);
  await stop(runtime);
}
