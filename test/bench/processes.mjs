import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { envoyBinary, redisServer } from '../../tools/get.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PASSTHROUGH = { log: () => undefined };

/** Starts a program; its output is shown if it ends before it is asked to. */
function start(name, command, args) {
  let output = '';
  let stopping = false;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (chunk) => (output = (output + chunk).slice(-16_384));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise((resolve) => child.once('close', resolve));
  void ended.then((code) => {
    if (stopping) return;
    console.error(`${name} ended with ${code}\n${output}`);
    process.exit(1);
  });
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    name,
    pid: child.pid,
    stop: () => {
      stopping = true;
      child.kill('SIGKILL');
      return ended;
    },
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until something accepts connections there. */
async function accepts(target) {
  for (let tries = 0; tries < 500; tries++) {
    const open = await new Promise((resolve) => {
      const socket = createConnection(target);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing listens at ${JSON.stringify(target)}`);
}

/** A Redis that keeps nothing on disk. */
export async function startRedis(dir) {
  const { path, version } = await redisServer(PASSTHROUGH);
  const port = await freePort();
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ];
  const child = start('Redis', path, options);
  await accepts({ host: '127.0.0.1', port });
  return { ...child, port, version };
}

/** Bridge and Envoy with the release build; Envoy has a second listener that answers with nothing. */
export async function startRuntime({ dir, workers, redisPort }) {
  const [{ renderBootstrap }, { catalog }] = await Promise.all([
    import('../../dist/envoy/bootstrap.js'),
    import('../../dist/components-bridge/src/catalog.js'),
  ]);
  const [port, emptyPort] = [await freePort(), await freePort()];
  const config = {
    source: 'bench',
    app: { id: 'bench', port: 0, protocol: 'http' },
    listen: { host: '127.0.0.1', port, hosts: [] },
    dataDir: dir,
    limits: { messageBytes: 4_194_304, operations: 1024, bytes: 67_108_864, deadlineMs: 15_000 },
    envoy: { concurrency: workers, metricsPort: 0 },
    components: [
      {
        name: 'statestore',
        type: 'state.redis',
        version: 'v1',
        primitive: 'state',
        form: 'native',
        metadata: { redisHost: `127.0.0.1:${redisPort}` },
        origin: { file: 'bench', line: 0 },
      },
    ],
  };
  const { bootstrap, extensionDir, extensionConfigs } = renderBootstrap(config, {
    moduleFile: join(root, 'dist/modules/runtime.wasm'),
    version: '0.0.0',
    hold: false,
    apiTokens: [],
    catalog,
  });
  bootstrap.static_resources.listeners.push(emptyListener(emptyPort));
  mkdirSync(extensionDir, { recursive: true });
  for (const [name, text] of Object.entries(extensionConfigs)) writeFileSync(join(extensionDir, name), text);
  writeFileSync(join(dir, 'bootstrap.json'), JSON.stringify(bootstrap));
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));

  const bridge = start('bridge', process.execPath, [
    join(root, 'dist/components-bridge/src/main.js'),
    join(dir, 'config.json'),
  ]);
  await accepts({ path: join(dir, 'session.sock') });
  const { path, version } = await envoyBinary(PASSTHROUGH);
  const options = ['--disable-hot-restart', '--concurrency', String(workers), '--log-level', 'error'];
  const envoy = start('Envoy', path, ['-c', join(dir, 'bootstrap.json'), ...options]);
  await accepts({ host: '127.0.0.1', port: emptyPort });
  await accepts({ host: '127.0.0.1', port });
  await ready(port);
  return { children: [envoy, bridge], envoy, port, emptyPort, version: `Envoy ${version}` };
}

async function ready(port) {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1.0/state/statestore/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the runtime does not answer');
}

function emptyListener(port) {
  const type = (name) => `type.googleapis.com/envoy.extensions.filters.${name}`;
  return {
    name: 'empty',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
              stat_prefix: 'empty',
              generate_request_id: false,
              route_config: {
                virtual_hosts: [
                  {
                    name: 'all',
                    domains: ['*'],
                    routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
                  },
                ],
              },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': type('http.router.v3.Router') },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

/** daprd with the same store, if DAPRD_BIN names one. */
export async function startDaprd({ dir, redisPort }) {
  const program = process.env['DAPRD_BIN'];
  if (program === undefined || program === '') return undefined;
  const resources = join(dir, 'dapr');
  mkdirSync(resources);
  writeFileSync(
    join(resources, 'statestore.yaml'),
    [
      'apiVersion: dapr.io/v1alpha1',
      'kind: Component',
      'metadata: { name: statestore }',
      'spec:',
      '  type: state.redis',
      '  version: v1',
      '  metadata:',
      `    - { name: redisHost, value: "127.0.0.1:${redisPort}" }`,
      '',
    ].join('\n'),
  );
  const [port, http, internal] = [await freePort(), await freePort(), await freePort()];
  const flags = {
    'app-id': 'dapr-bench',
    'resources-path': resources,
    'dapr-grpc-port': port,
    'dapr-http-port': http,
    'dapr-internal-grpc-port': internal,
    'dapr-listen-addresses': '127.0.0.1',
    'log-level': 'error',
    'enable-metrics': 'false',
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = start('daprd', program, args);
  await accepts({ host: '127.0.0.1', port });
  return { child, port };
}
