/**
 * `node test/bench/invoke.mjs`: what service invocation costs beside the same call through the same two Envoys without
 * the runtime. Two Envoys run: the caller's, with a listener that is the runtime's and one that is the same but for the
 * filters, and the callee's, which passes calls to an app that answers at once. Both ways take turns, so that whatever
 * else the machine does falls on both.
 *
 * Settings, from the environment: BENCH_ROUNDS (7), BENCH_SECONDS (1), BENCH_WORKERS (1); BENCH_STRICT=1 fails where a
 * target is missed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePort } from './child.mjs';
import { emptyListener } from './listeners.mjs';
import { watchCpu } from './measure.mjs';
import { startEnvoy } from './processes.mjs';
import { readSettings } from './settings.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const loader = fileURLToPath(new URL('./load.mjs', import.meta.url));
const { rounds, seconds, workers } = readSettings(process.env);

/** At most so many times the CPU of both Envoys, and so many microseconds more. */
const MOST_CPU = 1.1;
const MOST_MORE_US = 50;

/** Both ways go through both Envoys; `plain` is the port without the runtime. */
const CASES = [
  {
    name: 'HTTP invoke, POST',
    path: '/v1.0/invoke/orders/method/hello',
    judged: true,
    load: { protocol: 'http1', headers: { 'content-type': 'text/plain' } },
  },
  {
    name: 'HTTP invoke, GET',
    path: '/v1.0/invoke/orders/method/hello',
    judged: true,
    load: { protocol: 'http1', headers: { ':method': 'GET' }, noBody: true },
  },
  {
    name: 'gRPC by dapr-app-id',
    path: '/bench.Echo/Call',
    plainPath: '/v1.0/invoke/orders/method/bench.Echo/Call',
    judged: false,
    load: { protocol: 'h2', headers: { 'dapr-app-id': 'orders' } },
  },
  {
    name: 'InvokeService (gRPC), beside the HTTP call',
    path: '/spec.proto.runtime.v1.Runtime/InvokeService',
    plainPath: '/v1.0/invoke/orders/method/hello',
    judged: false,
    load: { protocol: 'h2' },
    plain: { protocol: 'http1', headers: { 'content-type': 'text/plain' } },
    message: true,
  },
];

const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
const children = [];
try {
  const [{ renderBootstrap }, { loadConfig }, { catalog }] = await Promise.all([
    import('../../dist/envoy/bootstrap.js'),
    import('../../dist/components-bridge/src/config/index.js'),
    import('../../dist/components-bridge/src/catalog.js'),
  ]);
  const bootstrapOf = async (name, settings) => {
    const folder = join(dir, name);
    mkdirSync(folder);
    const file = join(folder, 'layotto.yaml');
    const native = { ...settings, dataDir: folder, envoy: { concurrency: workers, metricsPort: 0 } };
    writeFileSync(file, JSON.stringify(native));
    const { config, problems } = await loadConfig({ file, catalog, env: {} });
    if (config === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
    const module = join(root, 'dist/modules/runtime.wasm');
    const options = { moduleFile: module, version: '0.0.0', hold: false, apiTokens: [], catalog };
    const { bootstrap, extensionDir, extensionConfigs } = renderBootstrap(config, options);
    mkdirSync(extensionDir, { recursive: true });
    for (const [file, text] of Object.entries(extensionConfigs))
      writeFileSync(join(extensionDir, file), text);
    // What listens on sockets only is not measured.
    const resources = bootstrap.static_resources;
    resources.listeners = resources.listeners.filter(({ address }) => address.socket_address !== undefined);
    return bootstrap;
  };

  const [appPort, inboundPort, calleePort, port, plainPort] = await Promise.all(
    [1, 2, 3, 4, 5].map(freePort),
  );
  // The app: an Envoy that answers at once, so that it is not what limits.
  const app = { static_resources: { listeners: [answeringListener(appPort)] } };
  const callee = await bootstrapOf('callee', {
    app: { id: 'orders', port: appPort },
    listen: { port: calleePort, inbound: inboundPort },
  });
  const caller = await bootstrapOf('caller', {
    app: { id: 'bench' },
    listen: { port },
    callees: { orders: `127.0.0.1:${inboundPort}` },
  });
  const plain = JSON.parse(JSON.stringify(caller.static_resources.listeners[0]));
  plain.name = 'plain';
  plain.address.socket_address.port_value = plainPort;
  const manager = plain.filter_chains[0].filters[0].typed_config;
  manager.http_filters = manager.http_filters.slice(-1);
  caller.static_resources.listeners.push(plain);
  for (const [name, bootstrap] of Object.entries({ app, callee, caller }))
    children.push(await startEnvoy(name, join(dir, `${name}.json`), bootstrap, workers));
  const envoys = [
    { name: 'callee', pid: children[1].pid },
    { name: 'caller', pid: children[2].pid },
  ];

  const body = join(dir, 'body');
  const message = join(dir, 'message');
  writeFileSync(body, frame(Buffer.alloc(64, 0x61)));
  writeFileSync(message, frame(invokeServiceRequest('orders', 'hello', Buffer.alloc(64, 0x61))));

  let missed = 0;
  console.log(
    '| call | in flight | CPU of both Envoys, µs: with, without | ratio | p50, µs: with, without | more |',
  );
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const one of CASES) {
    for (const inflight of [1, 16]) {
      const ways = {
        with: {
          target: { port },
          path: one.path,
          ...one.load,
          ...bodyOf(one.load, one.message ? message : body),
        },
        without: {
          target: { port: plainPort },
          path: one.plainPath ?? one.path,
          ...(one.plain ?? one.load),
          ...bodyOf(one.plain ?? one.load, body),
        },
      };
      const figures = { with: [], without: [] };
      for (let round = 0; round < rounds; round++) {
        for (const [way, load] of Object.entries(ways)) {
          const measured = await watchCpu(envoys, () => runLoad({ ...load, inflight, seconds, warmup: 0 }));
          if (measured.failed > 0)
            throw new Error(`${one.name}: calls failed: ${JSON.stringify(measured.statuses)}`);
          const { caller: own, callee: other } = measured.cpuPerCall;
          figures[way].push({ cpu: own + other, p50: measured.p50 * 1000 });
        }
      }
      const cpu = Object.fromEntries(
        Object.entries(figures).map(([way, all]) => [way, median(all.map((f) => f.cpu))]),
      );
      const p50 = Object.fromEntries(
        Object.entries(figures).map(([way, all]) => [way, median(all.map((f) => f.p50))]),
      );
      const ratio = median(figures.with.map((f, i) => f.cpu / figures.without[i].cpu));
      const more = median(figures.with.map((f, i) => f.p50 - figures.without[i].p50));
      const fine = !one.judged || (ratio <= MOST_CPU && (inflight > 1 || more <= MOST_MORE_US));
      if (!fine) missed++;
      console.log(
        `| ${one.name} | ${inflight} | ${cpu.with.toFixed(0)}, ${cpu.without.toFixed(0)} | ${ratio.toFixed(2)}${fine ? '' : ' (missed)'} | ${p50.with.toFixed(0)}, ${p50.without.toFixed(0)} | ${more.toFixed(0)} |`,
      );
    }
  }
  console.log(`targets, of HTTP invoke: at most ${MOST_CPU} × the CPU, and at most ${MOST_MORE_US} µs more`);
  if (missed > 0 && process.env.BENCH_STRICT === '1') process.exitCode = 1;
} finally {
  await Promise.all(children.map((child) => child.stop()));
  rmSync(dir, { recursive: true, force: true });
}

/** A listener that answers every request with 200, and gRPC's with an OK and no message. */
function answeringListener(port) {
  const listener = emptyListener(port);
  const manager = listener.filter_chains[0].filters[0].typed_config;
  const text = { body: { inline_string: 'hello' } };
  manager.route_config.virtual_hosts[0].routes = [
    {
      match: { prefix: '/', grpc: {} },
      direct_response: { status: 200 },
      response_headers_to_add: [{ header: { key: 'grpc-status', value: '0' } }],
    },
    { match: { prefix: '/' }, direct_response: { status: 200, ...text } },
  ];
  return listener;
}

function bodyOf({ noBody = false }, bodyFile) {
  return noBody ? {} : { bodyFile };
}

async function runLoad(options) {
  const { stdout } = await promisify(execFile)(process.execPath, [loader, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

function frame(message) {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** An encoded InvokeServiceRequest; everything in it is shorter than 128 bytes. */
function invokeServiceRequest(id, method, data) {
  const field = (tag, bytes) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const any = field(0x12, field(0x12, data));
  const inner = Buffer.concat([
    field(0x0a, Buffer.from(method)),
    any,
    field(0x1a, Buffer.from('text/plain')),
    field(0x22, Buffer.from([0x08, 0x03])),
  ]);
  return Buffer.concat([field(0x0a, Buffer.from(id)), field(0x1a, inner)]);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
