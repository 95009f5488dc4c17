import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../../tools/free-port.mjs';
import { emptyListener } from './listeners.mjs';
import { startEnvoy } from './processes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const WASM = 'type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm';
const PREVIOUS_HOSTS =
  'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate';
const BUFFER = 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer';

/**
 * The caller's Envoy, with a listener that is the runtime's, one that is the same but for the filters, one whose only
 * filter is a module that reads the heads of calls, and one whose filter is a module that does nothing; and the
 * callee's, which passes calls to an app that answers at once. The app is an Envoy, too, so that it is not what limits.
 *
 * @param {object} options
 * @param {string} options.dir an empty folder
 * @param {number} options.workers Envoy's threads
 * @param {string} [options.module] another build of the filter
 * @returns ports of the caller's listeners by name, and the children: app, callee, caller
 */
export async function startInvokeEnvoys({ dir, workers, module = join(root, 'dist/modules/runtime.wasm') }) {
  const bootstrapOf = await bootstraps({ dir, workers, module });
  const [appPort, inboundPort, calleePort, ...own] = await freePorts(7);
  const ports = { with: own[0], reading: own[1], empty: own[2], without: own[3] };
  const app = { static_resources: { listeners: [answeringListener(appPort)] } };
  const callee = await bootstrapOf('callee', {
    app: { id: 'orders', port: appPort },
    listen: { port: calleePort, inbound: inboundPort },
  });
  const caller = await bootstrapOf('caller', {
    app: { id: 'bench' },
    listen: { port: ports.with },
    // Calls to the second have the filter, because of its timeout.
    callees: {
      orders: `127.0.0.1:${inboundPort}`,
      timed: { to: `127.0.0.1:${inboundPort}`, timeout: '60s' },
    },
  });
  const [runtime] = caller.static_resources.listeners;
  caller.static_resources.listeners.push(
    another(runtime, 'reading', ports.reading, [filterOf('reading', dir)]),
    another(runtime, 'empty', ports.empty, [filterOf('passing', dir)]),
    another(runtime, 'without', ports.without, []),
  );
  const children = [];
  try {
    for (const [name, bootstrap] of Object.entries({ app, callee, caller }))
      children.push(await startEnvoy(name, join(dir, `${name}.json`), bootstrap, workers));
  } catch (error) {
    await Promise.all(children.map((child) => child.stop()));
    throw error;
  }
  return { ports, children };
}

async function bootstraps({ dir, workers, module }) {
  const [{ renderBootstrap }, { loadConfig }, { catalog }] = await Promise.all([
    import('../../dist/envoy/bootstrap.js'),
    import('../../dist/components-bridge/src/config/index.js'),
    import('../../dist/components-bridge/src/catalog.js'),
  ]);
  return async (name, settings) => {
    const folder = join(dir, name);
    mkdirSync(folder);
    const file = join(folder, 'layotto.yaml');
    const native = { ...settings, dataDir: folder, envoy: { concurrency: workers, metricsPort: 0 } };
    writeFileSync(file, JSON.stringify(native));
    const { config, problems } = await loadConfig({ file, catalog, env: {} });
    if (config === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
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
}

/** The retries that Istio gives each route of a sidecar by default. */
const RETRIES = {
  retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
  num_retries: 2,
  retry_host_predicate: [
    { name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': PREVIOUS_HOSTS } },
  ],
  host_selection_retry_max_attempts: 5,
};

/** Routes to callees that do nothing but lead there, as a mesh has them without the runtime. */
function plainRoutes() {
  const routes = ['orders', 'timed'].flatMap((callee) => {
    const prefix = `/v1.0/invoke/${callee}/method/`;
    const route = (more, cluster) => ({
      match: { prefix, ...more },
      route: { cluster, prefix_rewrite: '/', timeout: '0s', retry_policy: RETRIES },
    });
    const cluster = `layotto_callee_${callee}`;
    return [route({ grpc: {} }, cluster), route({}, `${cluster}|http`)];
  });
  // The clusters come from a file, after the listeners.
  return {
    name: 'plain',
    validate_clusters: false,
    virtual_hosts: [{ name: 'plain', domains: ['*'], routes }],
  };
}

/** The same listener on another port, with plain routes, and with other filters before the router. */
function another(listener, name, port, filters) {
  const copy = JSON.parse(JSON.stringify(listener));
  copy.name = name;
  copy.address.socket_address.port_value = port;
  const manager = managerOf(copy);
  manager.http_filters = [...filters, ...manager.http_filters.slice(-1)];
  delete manager.rds;
  manager.route_config = plainRoutes();
  return copy;
}

/** A filter of assembly/. */
function filterOf(name, dir) {
  const filename = join(dir, `${name}.wasm`);
  const flags = ['-O3', '--noAssert', '--runtime', 'minimal', '--use', 'abort=assembly/host/log/abort'];
  const asc = [
    'node_modules/assemblyscript/bin/asc.js',
    `test/bench/assembly/${name}.ts`,
    '--outFile',
    filename,
  ];
  execFileSync(process.execPath, [...asc, ...flags], { cwd: root, stdio: 'inherit' });
  const vm_config = { runtime: 'envoy.wasm.runtime.v8', vm_id: name, code: { local: { filename } } };
  return { name, typed_config: { '@type': WASM, config: { name, vm_config } } };
}

/** A listener that answers every request with 200 when it has all of it, and gRPC's with an OK and no message. */
function answeringListener(port) {
  const listener = emptyListener(port);
  const manager = managerOf(listener);
  manager.route_config.virtual_hosts[0].routes = [
    {
      match: { prefix: '/', grpc: {} },
      direct_response: { status: 200 },
      response_headers_to_add: [{ header: { key: 'grpc-status', value: '0' } }],
    },
    { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
  ];
  // An answer before the end of its request would cost a connection each over HTTP/1.1.
  const buffer = { '@type': BUFFER, max_request_bytes: 65536 };
  manager.http_filters.unshift({ name: 'envoy.filters.http.buffer', typed_config: buffer });
  return listener;
}

function managerOf(listener) {
  return listener.filter_chains[0].filters[0].typed_config;
}
