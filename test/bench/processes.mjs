import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, freePorts } from '../../tools/free-port.mjs';
import { envoyBinary, redisServer } from '../../tools/get.mjs';
import { accepts, start } from './child.mjs';
import { functionSlots, withEmptyRoute } from './function-slots.mjs';
import { emptyFilters, emptyListener, redisProxy } from './listeners.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PASSTHROUGH = { log: () => undefined };

/** A Redis that keeps nothing on disk. */
export async function startRedis(dir) {
  const { path, version } = await redisServer(PASSTHROUGH);
  const port = await freePort();
  const options = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir };
  const child = start(
    'Redis',
    path,
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
  );
  await accepts({ host: '127.0.0.1', port });
  return { ...child, port, version };
}

/**
 * Bridge and Envoy with the release build. Envoy has a second listener that answers with nothing, and a third that
 * passes bytes on to Redis, as a sidecar does with an app's own connections.
 *
 * @param {object} options
 * @param {string} options.dir an empty folder
 * @param {number} options.workers Envoy's threads
 * @param {number} options.redisPort
 * @param {import('./cases.mjs').Store[]} options.stores
 * @param {object[]} [options.others] components of other types, as layotto.yaml has them
 * @param {object} [options.app] settings of the app beside the runtime
 * @param {string[]} [options.bridgeFlags] flags of Node for the bridge, besides those of `layotto run`
 * @param {string} [options.bridgeProgram] another build of the bridge
 * @param {boolean} [options.filter] false: the runtime's listener without filters, which answers with nothing
 * @param {{ id: string, file: string }[]} [options.functions] on a listener of their own, at `functionsPort`
 * @param {number} [options.functionSlots] places for them, which cost something even if they are empty
 */
export async function startRuntime({
  dir,
  workers,
  redisPort,
  stores,
  others = [],
  app = {},
  bridgeFlags = [],
  bridgeProgram,
  filter = true,
  functions = [],
  functionSlots: places = functions.length,
}) {
  const [{ bridgeStart }, { renderBootstrap }, { loadConfig }, { catalog }] = await Promise.all([
    import('../../dist/cli/src/bridge-child.js'),
    import('../../dist/envoy/bootstrap.js'),
    import('../../dist/components-bridge/src/config/index.js'),
    import('../../dist/components-bridge/src/catalog.js'),
  ]);
  const [port, emptyPort, proxyPort] = await freePorts(3);
  const functionsPort = places === 0 ? 0 : await freePort();
  const components = stores.map(({ name, through, metadata }) => ({
    name,
    type: 'state.redis',
    metadata: { ...metadata, redisHost: `127.0.0.1:${through === 'sidecar' ? proxyPort : redisPort}` },
  }));
  const file = join(dir, 'layotto.yaml');
  const envoySettings = { concurrency: workers, metricsPort: 0 };
  const native = {
    app: { id: 'bench', ...app },
    listen: { port },
    dataDir: dir,
    envoy: envoySettings,
    components: [...components, ...others],
    ...(places === 0 ? {} : { functions: { listen: functionsPort, slots: places } }),
  };
  writeFileSync(file, JSON.stringify(native));
  const { config, problems } = await loadConfig({ file, catalog, env: {} });
  if (config === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
  const options = { version: '0.0.0', hold: false, apiTokens: [], catalog };
  const { bootstrap, extensionDir, extensionConfigs } = renderBootstrap(config, {
    ...options,
    moduleFile: join(root, 'dist/modules/runtime.wasm'),
    ...(await functionSlots(functions, { config, options, dir: join(dir, 'functions') })),
  });
  if (!filter) emptyFilters(bootstrap.static_resources.listeners[0]);
  const proxy = redisProxy(proxyPort, redisPort);
  bootstrap.static_resources.listeners.push(emptyListener(emptyPort), proxy.listener);
  bootstrap.static_resources.clusters.push(proxy.cluster);
  const routes = 'functions.rds.yaml';
  if (places > 0) extensionConfigs[routes] = withEmptyRoute(extensionConfigs[routes]);
  mkdirSync(extensionDir, { recursive: true });
  for (const [name, text] of Object.entries(extensionConfigs)) writeFileSync(join(extensionDir, name), text);
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));

  const { execArgv, env } = bridgeStart();
  const flags = [...execArgv, ...bridgeFlags];
  const program = bridgeProgram ?? join(root, 'dist/bridge/main.js');
  const command = [...flags, program, join(dir, 'config.json')];
  const bridge = start('bridge', process.execPath, command, 'SIGTERM', env);
  await accepts({ path: join(dir, 'session.sock') });
  const envoy = await startEnvoy('Envoy', join(dir, 'bootstrap.json'), bootstrap, workers);
  await accepts({ host: '127.0.0.1', port });
  if (filter) await Promise.all(components.map(({ name }) => ready(port, name)));
  const ports = { port, emptyPort, functionsPort };
  return { children: [envoy, bridge], envoy, bridge, ...ports, version: `Envoy ${envoy.version}` };
}

/**
 * @param {string} name what the report calls it
 * @param {string} file where its configuration is written
 * @param {object} bootstrap
 * @param {number} workers its threads
 */
export async function startEnvoy(name, file, bootstrap, workers) {
  writeFileSync(file, JSON.stringify(bootstrap));
  const { path, version } = await envoyBinary(PASSTHROUGH);
  const options = ['--disable-hot-restart', '--concurrency', String(workers), '--log-level', 'error'];
  const child = start(name, path, ['-c', file, ...options]);
  for (const { address } of bootstrap.static_resources.listeners) {
    const { socket_address: tcp, pipe } = address;
    await accepts(tcp === undefined ? { path: pipe.path } : { host: '127.0.0.1', port: tcp.port_value });
  }
  return { ...child, version, path };
}

async function ready(port, store) {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1.0/state/${store}/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the runtime does not answer for ${store}`);
}
