import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderEnvoyFilter, renderSlot } from '../../envoy/istio/envoyfilter.js';
import type { SlotContent } from '../../envoy/istio/envoyfilter.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { readModule } from '../../envoy/module-info.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import { toYaml } from '../../envoy/yaml.js';
import { buildFunction } from '../../tools/function.mjs';
import { http1 } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { Publisher } from '../support/publisher.js';
import { Runtime, VERSION } from '../support/runtime.js';
import { eventually } from '../support/wait.js';
import { askIstio } from './istio.js';
import type { Made } from './istio.js';
import { MODULE, Modules } from './modules.js';
import { Sidecar } from './sidecar.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const NAMESPACE = 'shop';
const SOURCES = {
  asking: 'test/e2e/assembly/asking-function.ts',
  stock: 'examples/function-bookstore/assembly/stock.ts',
  events: 'test/e2e/assembly/event-function.ts',
};
type Name = keyof typeof SOURCES;

/** A function in a slot. */
interface Placed {
  name: Name;
  id: string;
  path?: string;
  bodyBytes?: number;
}

const built = new Map<Name, Uint8Array>();

beforeAll(async () => {
  for (const [name, source] of Object.entries(SOURCES))
    built.set(name as Name, await buildFunction(join(root, source)));
}, 60_000);

describe.each(['1.28.0', '1.31.0'])('functions in a sidecar of Istio %s', (istioVersion) => {
  let modules: Modules;
  /** Where the sidecar has its own sockets: another folder than the bridge's. */
  let sockets: string;
  let port: number;
  let runtime: Runtime;
  let sidecar: Sidecar;
  let made: Made;

  function contentOf(config: RuntimeConfig, placed: Placed): SlotContent {
    const wasm = built.get(placed.name) as Uint8Array;
    const { id, path } = placed;
    const settings = { id, bodyBytes: placed.bodyBytes ?? 1024 * 1024, inFlight: 100, deadlineMs: 5_000 };
    const plugin = pluginConfiguration(config, { version: VERSION, hold: false, apiTokens: [], catalog });
    return {
      module: {
        ...modules.add(wasm),
        configuration: JSON.stringify({ ...plugin, function: settings }),
        rootId: 'function',
        capabilities: moduleCapabilities(readModule(wasm)),
        seesBodies: true,
      },
      function: { id, deadlineMs: 5_000, ...(path === undefined ? {} : { path }) },
    };
  }

  /** @param slots what resources there are beside the runtime's, by slot */
  async function apply(config: RuntimeConfig, slots: Record<string, Placed | 'empty'>): Promise<Made> {
    const options = {
      version: VERSION,
      apiTokens: [],
      catalog,
      capabilities: moduleCapabilities(readModule(MODULE)),
      namespace: NAMESPACE,
      selector: { app: 'shop' },
      module: modules.add(MODULE),
      bridgeSocket: join(config.dataDir, 'session.sock'),
      appSocket: join(sockets, 'deliveries.sock'),
    };
    const filled = Object.entries(slots).map(([slot, placed]) =>
      renderSlot(config, options, slot, placed === 'empty' ? {} : contentOf(config, placed)),
    );
    const result = await askIstio({
      resources: [...filled, renderEnvoyFilter(config, { ...options, hold: false }), samePort(port)]
        .map(toYaml)
        .join('---\n'),
      sidecar: { namespace: NAMESPACE, labels: { app: 'shop' }, istioVersion },
      agent: { folder: config.dataDir, insecureHosts: [modules.host] },
    });
    expect(result.problems).toBe(null);
    return result;
  }

  beforeAll(async () => {
    modules = await Modules.start();
    sockets = mkdtempSync(join(tmpdir(), 'layotto-sidecar-'));
    port = await freePort();
    runtime = await Runtime.start({
      concurrency: 2,
      functions: { listen: { host: '127.0.0.1', port }, slots: 3 },
      components: [
        { name: 'statestore', type: 'state.embedded' },
        { name: 'pubsub', type: 'pubsub.embedded', metadata: { redeliverInterval: '100ms' } },
      ],
      subscriptions: [
        {
          name: 'orders',
          function: 'worker',
          pubsubName: 'pubsub',
          topic: 'orders',
          form: 'native',
          rules: [{ match: '', path: '/' }],
          metadata: {},
          origin: { file: 'test', line: 0 },
        },
      ],
      bridgeArgs: ['--app-socket', join(sockets, 'deliveries.sock')],
      bootstrap: async (_rendered, { config, adminSocket }) => {
        made = await apply(config, {});
        sidecar = new Sidecar(join(config.dataDir, 'istiod'), made, [config.listen.port, port]);
        return sidecar.bootstrap(adminSocket);
      },
    });
  });

  afterAll(async () => {
    await runtime?.stop();
    modules?.stop();
    rmSync(sockets, { recursive: true, force: true });
  });

  const call = (target: string, options: { id?: string; body?: string } = {}) =>
    http1({ port }, options.body === undefined ? 'GET' : 'POST', target, {
      headers: options.id === undefined ? {} : { id: options.id },
      ...(options.body === undefined ? {} : { body: options.body }),
    });

  test('come by a resource each, are found by id and by path, and go, while the listener stays', async () => {
    expect(await call('/stock', { id: 'id_2' })).toMatchObject({
      status: 404,
      body: expect.stringContaining('no function has this id or path') as string,
    });
    const stock: Placed = { name: 'stock', id: 'id_2', path: '/stock', bodyBytes: 10 };
    const asking: Placed = { name: 'asking', id: 'asks', path: '/stock/of' };
    sidecar.push(await apply(runtime.config, { 'function-1': asking, 'function-2': stock }));
    await eventually('both are there', async () => {
      const [one, other] = [await call('/', { id: 'id_2' }), await call('/', { id: 'asks' })];
      return (
        one.body !== '' && one.status === 404 && !one.body.includes('no function') && other.status === 400
      );
    });

    const saved = JSON.stringify([{ key: 'book1', value: 100 }]);
    await http1(runtime.target, 'POST', '/v1.0/state/statestore', { body: saved });
    expect(await call('/?name=book1', { id: 'id_2' })).toMatchObject({ status: 200, body: '100' });
    expect(await call('/stock/any?name=book1')).toMatchObject({ status: 200, body: '100' });
    // The longer path, whichever was put there first; a known id before any path.
    expect(await call('/stock/of')).toMatchObject({ status: 400, body: 'do what?' });
    expect(await call('/stock/of?name=book1', { id: 'id_2' })).toMatchObject({ body: '100' });
    expect((await call('/stock/other', { id: 'nobody' })).status).toBe(404);
    expect((await call('/elsewhere')).body).toContain('no function has');
    // It asks another one, and the runtime.
    const asked = '/?do=function&of=id_2&name=' + encodeURIComponent('/?name=book1');
    expect(await call(asked, { id: 'asks' })).toMatchObject({
      body: expect.stringContaining('100') as string,
    });
    const runtimes = '/?do=runtime&of=runtime&name=' + encodeURIComponent('/v1.0/metadata');
    expect((await call(runtimes, { id: 'asks' })).body).toContain('"statestore"');
    expect((await call('/', { id: 'id_2', body: 'x'.repeat(11) })).status).toBe(413);

    sidecar.push(await apply(runtime.config, { 'function-1': asking, 'function-2': 'empty' }));
    await eventually('it has gone', async () => {
      const { body } = await call('/stock/any');
      return body.includes('no function has');
    });
    expect(await call('/stock/of')).toMatchObject({ status: 400, body: 'do what?' });
    const modified = await runtime.stats(/^listener_manager\.listener_(modified|in_place_updated)$/);
    expect(Object.values(modified)).toEqual([0, 0]);
  });

  test('are called by events, on a socket of the sidecar', async () => {
    const publisher = await Publisher.of(runtime);
    sidecar.push(await apply(runtime.config, { 'function-3': { name: 'events', id: 'worker' } }));
    await eventually('an event is noted', async () => {
      await publisher.publish('orders', 'mesh', { contentType: 'text/plain' });
      const { body } = await http1(runtime.target, 'GET', '/v1.0/state/statestore/worker%20mesh');
      return body.includes('orders');
    });
  });

  test("services of the mesh on the listener's port keep their own routes", () => {
    const names = (made.routes ?? []).map(({ name }) => String(name));
    expect(names).toContain(String(100_000 + port));
    const theirs = (made.routes ?? []).filter(({ name }) => name !== String(100_000 + port));
    expect(JSON.stringify(theirs)).toContain('other.shop.svc.cluster.local');
    expect(JSON.stringify(theirs)).not.toContain('no function has');
    const ours = (made.routes ?? []).find(({ name }) => name === String(100_000 + port));
    expect(JSON.stringify(ours)).not.toContain('other.shop.svc.cluster.local');
  });
});

/** A service of the mesh whose port is that of the functions. */
function samePort(port: number): EnvoyObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'other', namespace: NAMESPACE },
    spec: {
      hosts: ['other.shop.svc.cluster.local'],
      ports: [{ number: port, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      endpoints: [{ address: '127.0.0.1' }],
    },
  };
}
