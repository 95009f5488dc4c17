/** The way into a mesh, as far as it goes without a cluster: `make example NAME=istio`. */
import { spawn } from 'node:child_process';
import { appendFileSync, copyFileSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client, credentials } from '@grpc/grpc-js';
import { parse } from 'yaml';

import { envoyBinary } from '../../tools/get.mjs';
import { compose, push } from './compose.mjs';
import { COMMANDS, print } from './render.mjs';

const inRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const folder = process.env.EXAMPLE_DIR;
const port = Number(process.env.PORT);
const actuatorPort = Number(process.env.EXAMPLE_PORT);
const rendered = (file) => readFileSync(new URL(`rendered/${file}`, import.meta.url), 'utf8');
const children = [];
const told = [];

try {
  await main();
} catch (error) {
  console.error(readFileSync(join(folder, 'log'), 'utf8'));
  throw error;
} finally {
  for (const child of children) child.kill('SIGKILL');
}

async function main() {
  writeFileSync(join(folder, 'log'), '');
  for (const [file, args] of Object.entries(COMMANDS)) {
    if (print(args) !== rendered(file))
      throw new Error(`rendered/${file} is old: node examples/istio/render.mjs`);
  }
  say('rendered', `${Object.keys(COMMANDS).length} files, each what the command prints now`);

  const first = parse(rendered('envoyfilter.yaml'));
  const istiod = join(folder, 'istiod');
  const bootstrap = join(folder, 'envoy.json');
  const app = await startApp();
  const place = { folder: istiod, port, actuatorPort, appPort: app.address().port, sockets: folder };
  writeFileSync(bootstrap, JSON.stringify(compose(first, place)));
  push(first, istiod, module('first'));
  const envoy = (await envoyBinary({ log: () => undefined })).path;
  const options = ['-c', bootstrap, '--disable-hot-restart', '--log-level', 'error'];
  if ((await ended(start(envoy, [...options, '--mode', 'validate']))) !== 0)
    throw new Error('Envoy refuses what the EnvoyFilter adds');
  say('validated', 'Envoy takes the listeners, clusters and the filter of envoyfilter.yaml');

  const config = fileURLToPath(new URL('layotto.yaml', import.meta.url));
  const data = join(folder, 'data');
  const socket = join(folder, 'session.sock');
  const bridge = [inRoot('dist/components-bridge/src/main.js'), '--config', config];
  const deliveries = ['--app-socket', join(folder, 'deliveries.sock')];
  start(process.execPath, [...bridge, '--data-dir', data, '--socket', socket, ...deliveries]);
  start(envoy, options);
  await until(async () => (await http('GET', '/v1.0/state/statestore/none')).status === 204);

  await callEveryDoor();
  await deliver(istiod);
  await pushAndRollBack(istiod);
  app.close();
  app.closeAllConnections();
}

/** The app: it subscribes to a topic, and keeps what it is told. */
async function startApp() {
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const text of incoming.setEncoding('utf8')) body += text;
    if (incoming.url === '/orders') told.push(JSON.parse(body).data);
    const subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
    response.end(JSON.stringify(incoming.url === '/dapr/subscribe' ? subscriptions : {}));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function deliver(istiod) {
  await expect('POST', '/v1.0/publish/pubsub/orders', 204, { total: 3 });
  await until(async () => told.length > 0);
  const stats = await admin(istiod, '/stats?filter=cluster.layotto_app.upstream_rq_200');
  if (!/: [1-9]/.test(stats)) throw new Error('the event has not come by the sidecar');
  say('delivered', `the app is told ${told[0]}, by the sidecar's own listener`);
}

async function callEveryDoor() {
  await expect('POST', '/v1.0/state/statestore', 204, [{ key: 'color', value: 'green' }]);
  say('dapr http', `color is ${(await http('GET', '/v1.0/state/statestore/color')).body}`);
  const asked = { storeName: 'statestore', key: 'color' };
  const { data } = JSON.parse((await http('POST', '/v1.0-layotto/state/GetState', asked)).body);
  say('json', `color is ${Buffer.from(data, 'base64')}`);
  // GetStateRequest: store_name = 1, key = 2. The response begins with the value: data = 1.
  const message = Buffer.concat([field(1, 'statestore'), field(2, 'color')]);
  for (const [door, service] of [
    ['layotto grpc', 'spec.proto.runtime.v1.Runtime'],
    ['dapr grpc', 'dapr.proto.runtime.v1.Dapr'],
  ]) {
    const answer = await unary(`/${service}/GetState`, message);
    say(door, `color is ${answer.subarray(2, 2 + answer[1])}`);
  }
  // PutFileRequest and GetFileRequest: store_name = 1, name = 2; PutFileRequest.data = 3. GetFileResponse.data = 1.
  const file = [field(1, 'file'), field(2, 'note')];
  await upload(Buffer.concat([...file, field(3, 'as long as you like')]));
  const read = await download(Buffer.concat(file));
  say('streams', `a file of ${read.length - 2} bytes, there and back`);
  const readiness = await http('GET', '/actuator/health/readiness', undefined, actuatorPort);
  const other = await http('GET', '/v1.0/metadata', undefined, actuatorPort);
  say('actuator', `readiness ${readiness.status} on its own port, any other door there ${other.status}`);
}

async function pushAndRollBack(istiod) {
  let calls = 0;
  let failed = 0;
  let over = false;
  const load = Array.from({ length: 8 }, async () => {
    while (!over) {
      const { status, body } = await http('GET', '/v1.0/state/statestore/color');
      calls++;
      if (status !== 200 || body !== '"green"') failed++;
    }
  });
  for (const [name, what] of [
    ['envoyfilter-next.yaml', 'next'],
    ['envoyfilter.yaml', 'first'],
  ]) {
    const path = module(what);
    push(parse(rendered(name)), istiod, path);
    await until(async () => (await admin(istiod, '/config_dump?resource=ecds_filters')).includes(path));
    const before = calls;
    await until(async () => calls > before + 200);
    say(what === 'next' ? 'pushed' : 'rolled back', `the ${what} module serves`);
  }
  over = true;
  await Promise.all(load);
  if (failed > 0) throw new Error(`${failed} of ${calls} calls failed`);
  say('meanwhile', `${calls} calls, 0 failed`);
}

/** A module as the agent would have fetched it: the same one, with something of its own at its end. */
function module(name) {
  const path = join(folder, `${name}.wasm`);
  copyFileSync(inRoot('dist/modules/runtime.wasm'), path);
  appendFileSync(path, Buffer.concat([Buffer.from([0, name.length + 1, name.length]), Buffer.from(name)]));
  return path;
}

function field(number, text) {
  return Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);
}

function grpc(make) {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    make(client, (error, answer) => (error ? reject(error) : resolve(answer)));
  }).finally(() => client.close());
}

function bytes(message) {
  return message;
}

function unary(path, message) {
  return grpc((client, done) => client.makeUnaryRequest(path, bytes, bytes, message, done));
}

function upload(message) {
  return grpc((client, done) => {
    const path = '/spec.proto.runtime.v1.Runtime/PutFile';
    client.makeClientStreamRequest(path, bytes, bytes, done).end(message);
  });
}

function download(message) {
  return grpc((client, done) => {
    const parts = [];
    client
      .makeServerStreamRequest('/spec.proto.runtime.v1.Runtime/GetFile', bytes, bytes, message)
      .on('data', (part) => parts.push(part))
      .on('error', done)
      .on('end', () => done(null, Buffer.concat(parts)));
  });
}

async function expect(method, path, status, value) {
  const answer = await http(method, path, value);
  if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
}

function http(method, path, value, toPort = port) {
  return ask({ host: '127.0.0.1', port: toPort, method, path }, value);
}

async function admin(istiod, path) {
  return (await ask({ socketPath: join(istiod, 'admin.sock'), path })).body;
}

function ask(options, value) {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    sent.on('error', reject);
    sent.end(value === undefined ? undefined : JSON.stringify(value));
  });
}

async function until(fine) {
  const end = Date.now() + 20_000;
  while (!(await fine().catch(() => false))) {
    if (Date.now() > end) throw new Error('nothing answered within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function start(command, args) {
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log] });
  children.push(child);
  return child;
}

function ended(child) {
  return new Promise((resolve) => child.once('exit', resolve));
}

function say(what, text) {
  console.log(`${`${what}:`.padEnd(16)}${text}`);
}
