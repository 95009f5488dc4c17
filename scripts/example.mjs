/**
 * Runs an example from start to end: `node scripts/example.mjs NAME [--store embedded|redis] [--port N]`. Starts a
 * Redis if asked, then `layotto run` with the example's run.mjs, on a data folder that is removed afterwards. An
 * example may bring its own layotto.yaml. It finds a folder of its own in EXAMPLE_DIR, a free port in EXAMPLE_PORT, and
 * the address with that port in EXAMPLE_ADDRESS.
 * One with a main.mjs in place of run.mjs starts the runtime itself, on PORT.
 */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { freePort } from '../tools/free-port.mjs';
import { redisOrValkeyServer } from '../tools/get.mjs';
import { root } from './lib/tree.mjs';

const { values, positionals } = parseArgs({
  options: { store: { type: 'string', default: 'embedded' }, port: { type: 'string', default: '34904' } },
  allowPositionals: true,
});
const [name = ''] = positionals;
const examples = readdirSync(join(root, 'examples')).filter((example) =>
  ['run.mjs', 'main.mjs'].some((file) => existsSync(join(root, 'examples', example, file))),
);
if (!examples.includes(name)) fail(`no example '${name}'; give NAME=… with one of: ${examples.join(', ')}`);
if (!['embedded', 'redis'].includes(values.store))
  fail(`no store '${values.store}'; give STORE=embedded or STORE=redis`);

/** What of the embedded default a Redis serves as well, and what it does not; see components-bridge/src/config/index.ts. */
const ON_REDIS = {
  statestore: 'state',
  configstore: 'configuration',
  lockstore: 'lock',
  sequencer: 'sequencer',
  events: 'pubsub',
};
const BESIDE_REDIS = [
  { name: 'localstorage', type: 'bindings.localstorage' },
  { name: 'file', type: 'file.local' },
  { name: 'helloworld', type: 'hello.helloworld' },
  { name: 'secretstore', type: 'secretstores.local.env', metadata: { prefix: 'SECRET_' } },
];

const own = join(root, 'examples', name, 'layotto.yaml');
const settings = existsSync(own) ? readFileSync(own, 'utf8') : '';
if (values.store === 'redis' && /^components:/m.test(settings))
  fail(`examples/${name} brings stores of its own; leave STORE out`);

const scratch = mkdtempSync(join(tmpdir(), 'layotto-example-'));
const children = new Set();
// Ctrl-C goes to every process of the terminal; the runtime ends in order, and this waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (signal === 'SIGTERM') for (const child of children) child.kill(signal);
  });
}
try {
  process.exitCode = await run();
} finally {
  for (const child of children) child.kill('SIGTERM');
  rmSync(scratch, { recursive: true, force: true });
}

async function run() {
  // Metrics one below, as by default, so that two examples run side by side.
  const args = [
    'run',
    '--port',
    values.port,
    '--metrics-port',
    String(Number(values.port) - 1),
    '--data-dir',
    join(scratch, 'data'),
  ];
  const main = join(root, 'examples', name, 'main.mjs');
  const app = join(root, 'examples', name, 'run.mjs');
  // For the quick start: a secret. For all: where they may put and start what they need.
  process.env.SECRET_fruit ??= 'apple';
  process.env.EXAMPLE_DIR = join(scratch, 'example');
  process.env.EXAMPLE_PORT = String(await freePort());
  process.env.EXAMPLE_ADDRESS = `127.0.0.1:${process.env.EXAMPLE_PORT}`;
  process.env.PORT = values.port;
  mkdirSync(process.env.EXAMPLE_DIR);
  if (existsSync(main)) return ended(start(process.execPath, [main], 'inherit'));
  const config = await configFile();
  if (config) args.push('-c', config);
  const command = [join(root, 'cli/bin/layotto.js'), ...args, '--', process.execPath, app];
  return ended(start(process.execPath, command, 'inherit'));
}

/** Resolves with the code that a child ends with. */
function ended(child) {
  return new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1));
    child.on('error', () => resolve(1));
  });
}

/** The example's own configuration; with components for the Redis started here, if that is wanted. */
async function configFile() {
  if (values.store === 'redis') {
    const port = await startRedis();
    const path = join(scratch, 'layotto.yaml');
    const metadata = { redisHost: `127.0.0.1:${port}` };
    const served = Object.entries(ON_REDIS).map(([component, primitive]) => {
      return { name: component, type: `${primitive}.redis`, metadata };
    });
    // JSON is YAML.
    writeFileSync(path, `${settings}\ncomponents: ${JSON.stringify([...served, ...BESIDE_REDIS])}\n`);
    return path;
  }
  return settings === '' ? undefined : own;
}

async function startRedis() {
  const { path, version } = await redisOrValkeyServer();
  const port = await freePort();
  const redis = start(
    path,
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', scratch],
    'ignore',
    true,
  );
  let ended = false;
  redis.on('exit', () => (ended = true));
  redis.on('error', () => (ended = true));
  for (let tries = 0; tries < 200 && !ended; tries++) {
    if (await accepts(port)) {
      console.error(`${version} on port ${port}`);
      return port;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${path} did not start`);
}

/** A child of ours; `detached` keeps Ctrl-C from it, so that it outlives the runtime that uses it. */
function start(command, args, stdio, detached = false) {
  const child = spawn(command, args, { stdio, detached, cwd: root });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => socket.end(() => resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
