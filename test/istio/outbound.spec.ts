import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderEnvoyFilter, renderSlot } from '../../envoy/istio/envoyfilter.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { readModule } from '../../envoy/module-info.js';
import { toYaml } from '../../envoy/yaml.js';
import { http1 } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { Runtime, VERSION } from '../support/runtime.js';
import { eventually } from '../support/wait.js';
import { passing } from './forms.js';
import { askIstio } from './istio.js';
import type { Made } from './istio.js';
import { Sidecar } from './sidecar.js';

const MODULE = new URL('../../dist/modules/runtime.wasm', import.meta.url).pathname;
const HELLO = new URL('../../dist/modules/hello.wasm', import.meta.url).pathname;
const NAMESPACE = 'shop';
const HOST = 'inventory.shop.svc.cluster.local';
const FILTER = 'layotto.outbound';

/** A service of the mesh, and a listener of its sidecar's own through which the app reaches it. */
function services(callee: number, port: number): EnvoyObject[] {
  const named = (kind: string, name: string, spec: EnvoyObject): EnvoyObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name, namespace: NAMESPACE },
    spec,
  });
  return [
    named('ServiceEntry', 'inventory', {
      hosts: [HOST],
      ports: [{ number: port, name: 'http', protocol: 'HTTP', targetPort: callee }],
      location: 'MESH_EXTERNAL',
      resolution: 'STATIC',
      endpoints: [{ address: '127.0.0.1' }],
    }),
    named('Sidecar', 'apps', {
      workloadSelector: { labels: { app: 'shop' } },
      egress: [
        {
          port: { number: port, name: 'http', protocol: 'HTTP' },
          bind: '127.0.0.1',
          captureMode: 'NONE',
          hosts: ['./*'],
        },
        { hosts: ['*/*'] },
      ],
    }),
  ];
}

/** Names of the HTTP filters of a listener, of each of its connection managers. */
function httpFilters(listener: unknown): string[][] {
  if (Array.isArray(listener)) return listener.flatMap(httpFilters);
  if (typeof listener !== 'object' || listener === null) return [];
  return Object.entries(listener).flatMap(([key, inner]) =>
    key === 'http_filters' ? [(inner as { name: string }[]).map(({ name }) => name)] : httpFilters(inner),
  );
}

describe.each(['1.28.0', '1.31.0'])('plain calls through a sidecar of Istio %s', (istioVersion) => {
  let callee: Server;
  let runtime: Runtime;
  let made: Made;
  let sidecar: Sidecar;
  let port: number;
  /** Listeners of the configuration's own: for the same service, and for what is no service. */
  let own: { inventory: number; store: number };

  /** @param inSlot what is applied for the slot of the listener `inventory`; absent: nothing */
  async function apply(given: RuntimeConfig, inSlot?: 'hello' | 'empty'): Promise<Made> {
    const { port: calleePort } = callee.address() as AddressInfo;
    const host = '127.0.0.1';
    const config = {
      ...given,
      outbound: [
        { name: 'inventory', listen: { host, port: own.inventory }, to: { host: HOST, port } },
        { name: 'store', listen: { host, port: own.store }, to: { host, port: calleePort } },
      ],
    };
    const options = {
      version: VERSION,
      apiTokens: [],
      catalog,
      capabilities: moduleCapabilities(readModule(readFileSync(MODULE))),
      namespace: NAMESPACE,
      selector: { app: 'shop' },
      module: { file: MODULE },
      bridgeSocket: join(config.dataDir, 'session.sock'),
    };
    const filter = renderEnvoyFilter(config, { ...options, hold: false, outbound: true });
    const module = inSlot === 'hello' ? passing({ file: HELLO }, config, options, false) : undefined;
    const slot =
      inSlot === undefined ? [] : [renderSlot(config, options, 'inventory', module ? { module } : {})];
    return askIstio({
      resources: [filter, ...slot, ...services(calleePort, port)].map(toYaml).join('---\n'),
      sidecar: { namespace: NAMESPACE, labels: { app: 'shop' }, istioVersion },
    });
  }

  beforeAll(async () => {
    callee = createServer((request, response) => {
      request.resume();
      request.on('end', () => response.end('here'));
    });
    await new Promise<void>((resolve) => callee.listen(0, '127.0.0.1', resolve));
    port = await freePort();
    own = { inventory: await freePort(), store: await freePort() };
    runtime = await Runtime.start({
      concurrency: 2,
      policy: {
        default: 'allow',
        trustDomain: 'cluster.local',
        rules: [
          {
            name: 'no-deletes',
            effect: 'deny',
            apps: [],
            primitives: ['http'],
            operations: ['DELETE'],
            components: ['inventory.shop.*'],
            secrets: [],
            topics: [],
          },
          {
            name: 'no-patches',
            effect: 'deny',
            apps: [],
            primitives: ['http'],
            operations: ['PATCH'],
            components: ['inventory'],
            secrets: [],
            topics: [],
          },
        ],
        limits: [
          {
            name: 'puts',
            apps: [],
            primitives: ['http'],
            operations: ['PUT'],
            components: [HOST],
            per: [],
            perHour: 60,
            burst: 1,
          },
        ],
      },
      bootstrap: async (_rendered, { config, adminSocket }) => {
        made = await apply(config);
        const ports = [config.listen.port, port, ...Object.values(own)];
        sidecar = new Sidecar(join(config.dataDir, 'istiod'), made, ports);
        return sidecar.bootstrap(adminSocket);
      },
    });
  });

  afterAll(async () => {
    await runtime?.stop();
    callee?.closeAllConnections();
    await new Promise((resolve) => callee?.close(resolve));
  });

  test('the filter stands once before each router, and not where the runtime answers', () => {
    expect(made.problems).toBe(null);
    const { listeners } = made;
    const all = (listeners ?? [])
      .filter((listener) => listener['traffic_direction'] !== 'INBOUND')
      .flatMap((listener) =>
        httpFilters(listener).map((names) => ({ name: String(listener['name']), names })),
      );
    const outbound = all.filter(({ names }) => !names.includes('layotto.runtime'));
    expect(outbound.map(({ name }) => name)).toContain(`127.0.0.1_${port}`);
    for (const { name, names } of outbound) {
      expect(names.filter((filter) => filter === FILTER)).toHaveLength(1);
      const [, entry] = /^layotto_outbound_(.*)$/.exec(name) ?? [];
      expect(names.slice(entry === undefined ? -2 : -3, -1)).toEqual([
        FILTER,
        ...(entry === undefined ? [] : [`layotto.slot.${entry}`]),
      ]);
    }
    expect(outbound.map(({ name }) => name)).toContain('layotto_outbound_store');
    const runtimes = all.filter(({ names }) => names.includes('layotto.runtime'));
    expect(runtimes).not.toHaveLength(0);
    for (const { names } of runtimes) expect(names).not.toContain(FILTER);
  });

  test('pass, obey rules and limits, and are counted by the name of the mesh', async () => {
    const call = (method: string) =>
      http1({ port }, method, '/', { headers: { host: HOST }, ...(method === 'PUT' ? { body: 'x' } : {}) });
    expect(await call('GET')).toMatchObject({ status: 200, body: 'here' });
    expect((await call('DELETE')).status).toBe(403);
    expect((await call('PUT')).status).toBe(200);
    expect((await call('PUT')).status).toBe(429);
    await eventually('they are counted', async () => {
      const name = `wasmcustom.layotto_operations_total;primitive=http;operation=`;
      const at = `;component=${HOST};door=outbound;code=`;
      const found = await runtime.stats(/wasmcustom\.layotto_operations_total;primitive=http/);
      expect(found).toEqual({
        [`${name}GET${at}200`]: 1,
        [`${name}DELETE${at}403`]: 1,
        [`${name}PUT${at}200`]: 1,
        [`${name}PUT${at}429`]: 1,
      });
      return true;
    });
    expect((await http1(runtime.target, 'GET', '/v1.0/healthz')).status).toBe(204);
  });

  test('listeners of the configuration: by the names of their entries, each with a slot', async () => {
    const call = (to: number, method: string, path = '/') => http1({ port: to }, method, path);
    const passed = async (): Promise<number> => {
      const found = await runtime.stats(/^cluster\.outbound\|\d+\|\|inventory\..*upstream_rq_total$/);
      return Object.values(found).reduce((sum, one) => sum + one, 0);
    };
    const before = await passed();
    for (const to of Object.values(own))
      expect(await call(to, 'POST')).toMatchObject({ status: 200, body: 'here' });
    // By the name in the mesh it may not be deleted from; by that of the entry it may, and not be patched.
    expect((await call(own.inventory, 'DELETE')).status).toBe(200);
    expect((await call(own.inventory, 'PATCH')).status).toBe(403);
    expect((await call(own.store, 'PATCH')).status).toBe(200);
    const names = /wasmcustom\.layotto_operations_total;primitive=http;.*component=(inventory|store);/;
    await eventually('they are counted', async () => {
      expect(Object.values(await runtime.stats(names))).toEqual([1, 1, 1, 1, 1]);
      return true;
    });
    // What reached the service went by the mesh's own cluster for it.
    expect((await passed()) - before).toBe(2);

    const hello = '/v1.0-layotto/hello/SayHello';
    expect((await call(own.inventory, 'POST', hello)).body).toBe('here');
    sidecar.push(await apply(runtime.config, 'hello'));
    await eventually('the module in the slot answers', async () =>
      (await call(own.inventory, 'POST', hello)).body.includes('errorCode'),
    );
    expect((await call(own.inventory, 'GET')).body).toBe('here');
    expect((await call(own.store, 'POST', hello)).body).toBe('here');
    sidecar.push(await apply(runtime.config, 'empty'));
    await eventually('it has gone', async () => (await call(own.inventory, 'POST', hello)).body === 'here');
  });
});
