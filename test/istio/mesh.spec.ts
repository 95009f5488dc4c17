import { join } from 'node:path';

import { Redis } from 'ioredis';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { toYaml } from '../../envoy/bootstrap.js';
import { renderEnvoyFilter, renderSlot } from '../../envoy/istio/envoyfilter.js';
import { renderTrafficExtension, renderWasmPlugin } from '../../envoy/istio/extensions.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { readModule } from '../../envoy/module-info.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import type { SlotModule } from '../../envoy/slots.js';
import { subscribeDapr, subscribeLayotto } from '../support/configuration-streams.js';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { FileClient } from '../support/file-client.js';
import { grpcFrame, pieces } from '../support/grpc-raw.js';
import { HttpApp } from '../support/http-app.js';
import { http1, httpJson } from '../support/http1.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { Publisher } from '../support/publisher.js';
import { redisComponent, Runtime, VERSION } from '../support/runtime.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';
import { askIstio } from './istio.js';
import type { Made } from './istio.js';
import { HELLO, MODULE, Modules, variant } from './modules.js';
import { Sidecar } from './sidecar.js';

const NAMESPACE = 'shop';
const LABELS = { app: 'shop' };
/** What Istio says of every EnvoyFilter. */
const ENVOYFILTER_WARNING =
  'EnvoyFilter exposes internal implementation details that may change at any time. Prefer other APIs if possible, and exercise extreme caution, especially around upgrades.';

interface Form {
  name: string;
  render: (config: RuntimeConfig, options: MeshOptions) => EnvoyObject[];
  hold: boolean;
  /** The oldest Istio that is claimed, and the one whose code this is. */
  versions: string[];
  /** Names of the EnvoyFilters among the resources. */
  envoyFilters: string[];
  /** Whether the actuator has a listener of its own. */
  actuator: boolean;
  /** Whether Istio's own bound of a listener's buffer holds. */
  bounded: boolean;
}

const FORMS: Form[] = [
  {
    name: 'envoyfilter',
    render: (config, options) => [renderEnvoyFilter(config, { ...options, hold: false })],
    hold: false,
    versions: ['1.28.0', '1.31.0'],
    envoyFilters: ['layotto'],
    actuator: true,
    bounded: false,
  },
  {
    name: 'envoyfilter --hold',
    render: (config, options) => [renderEnvoyFilter(config, { ...options, hold: true })],
    hold: true,
    versions: ['1.31.0'],
    envoyFilters: ['layotto'],
    actuator: true,
    bounded: false,
  },
  {
    name: 'trafficextension',
    render: renderTrafficExtension,
    hold: true,
    versions: ['1.30.0', '1.31.0'],
    envoyFilters: ['layotto-listeners'],
    actuator: false,
    bounded: false,
  },
  {
    name: 'trafficextension --stable',
    render: (config, options) => renderTrafficExtension(config, { ...options, stable: true }),
    hold: true,
    versions: ['1.31.0'],
    envoyFilters: [],
    actuator: false,
    bounded: true,
  },
  {
    name: 'wasmplugin',
    render: renderWasmPlugin,
    hold: true,
    versions: ['1.28.0', '1.31.0'],
    envoyFilters: ['layotto-listeners'],
    actuator: false,
    bounded: false,
  },
];

const CASES = FORMS.flatMap((form) =>
  form.versions.map((version): [string, string, Form] => [form.name, version, form]),
);

/** The slot that a module is put into. */
const SLOT = 'slot-1';

/** A module of Layotto's, as `layotto envoy slot` puts it into a slot. */
function passing(module: MeshOptions['module'], config: RuntimeConfig): SlotModule {
  const plugin = pluginConfiguration(config, { version: VERSION, hold: false, apiTokens: [], catalog });
  return {
    ...module,
    configuration: JSON.stringify({ ...plugin, passOn: true }),
    rootId: 'runtime',
    capabilities: [],
    seesBodies: true,
  };
}

/** A service of the mesh's. */
function service(name: string, port: number): EnvoyObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      hosts: [`${name}.${NAMESPACE}.svc.cluster.local`],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: port }],
      resolution: 'STATIC',
      endpoints: [{ address: '127.0.0.1' }],
    },
  };
}

describe.each(CASES)('%s, Istio %s', (_name, istioVersion, form) => {
  let modules: Modules;
  let redis: StoreServer;
  let redisPort: number;
  let app: HttpApp;
  let callee: InvokedApp;
  let grpcCallee: InvokedGrpcApp;
  let runtime: Runtime;
  let sidecar: Sidecar;

  /** What a sidecar of the app gets when the resources are applied. */
  async function apply(
    module: MeshOptions['module'],
    given: RuntimeConfig,
    inSlot?: MeshOptions['module'] | 'empty',
  ): Promise<Made> {
    const config = { ...given, modules: { slots: 1 } };
    const options: MeshOptions = {
      version: VERSION,
      apiTokens: [],
      catalog,
      capabilities: moduleCapabilities(readModule(MODULE)),
      namespace: NAMESPACE,
      selector: LABELS,
      module,
      bridgeSocket: join(config.dataDir, 'session.sock'),
      appSocket: join(config.dataDir, 'deliveries.sock'),
    };
    const resources = form.render(config, options);
    if (inSlot !== undefined)
      resources.push(
        renderSlot(config, options, SLOT, inSlot === 'empty' ? undefined : passing(inSlot, config)),
      );
    const made = await askIstio({
      resources: [...resources, service('billing', callee.port)].map(toYaml).join('---\n'),
      sidecar: { namespace: NAMESPACE, labels: LABELS, istioVersion },
      agent: { folder: config.dataDir, insecureHosts: [modules.host] },
    });
    expect(made.problems).toBe(null);
    expect(made.warnings ?? []).toEqual(
      [...form.envoyFilters, ...(inSlot === undefined ? [] : [`layotto-${SLOT}`])].map(
        (name) => `EnvoyFilter ${NAMESPACE}/${name}: ${ENVOYFILTER_WARNING}`,
      ),
    );
    return made;
  }

  beforeAll(async () => {
    modules = await Modules.start();
    redisPort = await freePort();
    redis = await startStore('redis', [], redisPort);
    app = await HttpApp.open();
    app.subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
    await app.start();
    callee = await InvokedApp.start('callee');
    grpcCallee = await InvokedGrpcApp.start();
    runtime = await Runtime.start({
      callees: {
        orders: { to: [{ host: '127.0.0.1', port: callee.port }] },
        speaks: { to: [{ host: '127.0.0.1', port: grpcCallee.port }], protocol: 'grpc' },
      },
      invoke: { pattern: { kind: 'cluster', text: `outbound|{port}||{app}.${NAMESPACE}.svc.cluster.local` } },
      hold: form.hold,
      appPort: app.port,
      actuator: form.actuator,
      concurrency: 2,
      components: [
        { name: 'statestore', type: 'state.embedded' },
        { name: 'file', type: 'file.local' },
        { name: 'pubsub', type: 'pubsub.embedded' },
        redisComponent(redisPort, { name: 'configstore', type: 'configuration.redis' }),
      ],
      sessionGauges:
        /^cluster\.(layotto_session(_large)?|outbound\|\d+\|\|session(-large)?\..*)\.upstream_rq_active$/,
      bootstrap: async (_rendered, { config, adminSocket }) => {
        const { listen, dataDir } = config;
        sidecar = new Sidecar(join(dataDir, 'istiod'), await apply(modules.add(MODULE), config));
        return sidecar.bootstrap([listen.port, listen.actuator?.port ?? 0], adminSocket);
      },
    });
  });

  afterAll(async () => {
    await runtime?.stop();
    await app?.stop();
    await callee?.kill();
    await grpcCallee?.stop();
    await redis?.stop();
    modules?.stop();
  });

  test('serves Layotto gRPC, Dapr gRPC and Dapr HTTP', async () => {
    const doors = [
      new GrpcStateDoor('Layotto gRPC', await runtime.connect(), LAYOTTO),
      new GrpcStateDoor('Dapr gRPC', await runtime.connect(), DAPR),
      new HttpStateDoor(runtime.target),
    ];
    for (const [index, door] of doors.entries()) {
      expect(await door.get('statestore', `k${index}`)).toMatchObject({ code: 0, etag: '' });
      const item = { key: `k${index}`, value: `"v${index}"` };
      expect(await door.save('statestore', [item])).toMatchObject({ code: 0 });
      for (const reader of doors)
        expect(await reader.get('statestore', `k${index}`)).toMatchObject({
          value: `"v${index}"`,
          etag: '1',
        });
      expect(await door.delete('statestore', `k${index}`, '7')).toMatchObject({ code: door.mismatch });
      expect(await door.get('nope', 'k')).toMatchObject({ message: 'state store nope is not found' });
    }
  });

  test('serves the JSON door, health, metadata and the actuator', async () => {
    const store = { store_name: 'statestore' };
    const json = (operation: string, body: object) =>
      httpJson(runtime.target, 'POST', `/v1.0-layotto/state/${operation}`, body);
    const saved = await json('SaveState', { ...store, states: [{ key: 'j', value: 'djE=' }] });
    expect(saved.status).toBe(200);
    expect(await json('GetState', { ...store, key: 'j' })).toMatchObject({ json: { data: 'djE=' } });
    expect((await http1(runtime.target, 'GET', '/v1.0/healthz')).status).toBe(204);
    expect((await http1(runtime.target, 'GET', '/v1.0/metadata')).status).toBe(200);
    const { actuator } = runtime.config.listen;
    const own = actuator === undefined ? [] : [{ port: actuator.port }];
    for (const target of [runtime.target, ...own]) {
      const readiness = await httpJson(target, 'GET', '/actuator/health/readiness');
      expect(readiness).toMatchObject({ status: 200, json: { status: 'UP' } });
    }
    for (const target of own) expect((await http1(target, 'GET', '/v1.0/metadata')).status).toBe(404);
  });

  test.each(['127.0.0.1', 'localhost'])('serves streams to callers of %s', async (host) => {
    const files = new FileClient(`${host}:${runtime.port}`);
    const large = Buffer.alloc(3 * 1024 * 1024, host);
    await files.write('large', [large.subarray(0, 1_000_000), large.subarray(1_000_000)]);
    expect((await files.read('large')).equals(large)).toBe(true);
    files.close();
  });

  test('serves subscriptions', async () => {
    const layotto = subscribeLayotto(runtime.port, { storeName: 'configstore', keys: ['color'] });
    const outside = new Redis({ port: redisPort, host: '127.0.0.1' });
    const dapr = subscribeDapr(runtime.port, { storeName: 'configstore', keys: ['color'] });
    try {
      await eventually('the subscription of Dapr is confirmed', () => dapr.received.length > 0);
      await outside.set('color', 'green||1');
      await eventually('both streams tell of the change', () => {
        if (layotto.ended ?? dapr.ended) throw new Error(JSON.stringify([layotto.ended, dapr.ended]));
        return JSON.stringify(dapr.received).includes('green') && layotto.received.length > 0;
      });
    } finally {
      layotto.close();
      dapr.close();
      outside.disconnect();
    }
  });

  test.each(['orders', 'billing'])('invokes %s', async (name) => {
    const path = `/v1.0/invoke/${name}/method/a/b?c=1`;
    const { status, body } = await http1(runtime.target, 'PUT', path, { body: 'x'.repeat(2_000_000) });
    if (form.name === 'trafficextension --stable') {
      expect(status).toBe(501);
      return;
    }
    expect(JSON.parse(body)).toMatchObject({ app: 'callee', method: 'PUT', url: '/a/b?c=1' });
    expect(callee.last).toMatchObject({
      bytes: 2_000_000,
      headers: { 'dapr-callee-app-id': name },
    });
    const failed = await http1(runtime.target, 'GET', `/v1.0/invoke/${name}/method/status/503`);
    expect(failed).toMatchObject({ status: 503, body: 'status 503' });
  });

  test('sends gRPC on to the app that its metadata names', async () => {
    const client = await runtime.connect();
    const body = [grpcFrame(Buffer.from('hello'))];
    const call = { path: '/some.Service/Echo', body };
    const answer = await client.send({ ...call, headers: { 'dapr-app-id': 'speaks' } });
    if (form.name === 'trafficextension --stable') {
      expect(answer.grpcStatus).toBe(12);
      return;
    }
    expect(answer).toMatchObject({ grpcStatus: 0, messages: [Buffer.from('hello')] });
    const failed = await client.send({
      ...call,
      path: '/some.Service/Fail',
      headers: { 'dapr-app-id': 'speaks' },
    });
    expect(failed).toMatchObject({ grpcStatus: 5, grpcMessage: 'no such thing' });
  });

  test('takes bodies in pieces, large messages and requests ended by trailers', async () => {
    const client = await runtime.connect();
    const size = 4 * 1024 * 1024 - 1024;
    const large = saveStateBody('large', Buffer.alloc(size, 0x61));
    const saved = await client.send({ path: `${LAYOTTO}/SaveState`, body: pieces(large, 50_000) });
    expect(saved.grpcStatus).toBe(0);
    const read = await client.send({
      path: `${LAYOTTO}/GetState`,
      body: pieces(getStateBody('large'), 4),
      trailers: { 'x-end': 'true' },
    });
    expect(valueOf(read.messages[0])).toHaveLength(size);
  });

  test('bodies of HTTP/1.1', async () => {
    const body = JSON.stringify([{ key: 'body', value: 'x'.repeat(1_500_000) }]);
    const { status } = await http1(runtime.target, 'POST', '/v1.0/state/statestore', { body });
    expect(status).toBe(form.bounded ? 413 : 204);
    const most = JSON.stringify([{ key: 'body', value: 'x'.repeat(4 * 1024 * 1024 - 1_000) }]);
    const large = await http1(runtime.target, 'POST', '/v1.0/state/statestore', { body: most });
    expect(large.status).toBe(form.bounded ? 413 : 204);
  });

  test("deliveries, by the sidecar's own listener where one can be added", async () => {
    // A bridge that `layotto run` has not started calls the app itself where there is none; this one never does.
    if (form.bounded) {
      expect(await runtime.stats(/layotto_app/)).toEqual({});
      return;
    }
    const publisher = await Publisher.of(runtime);
    await publisher.publish('orders', { total: 3 });
    await eventually('the app is told', () => app.told('/orders').length === 1);
    const stats = await runtime.stats(/^(http|cluster)\.layotto_app\.(downstream_rq_2xx|upstream_rq_200)$/);
    expect(stats['http.layotto_app.downstream_rq_2xx']).toBeGreaterThanOrEqual(2);
    expect(stats['cluster.layotto_app.upstream_rq_200']).toBe(stats['http.layotto_app.downstream_rq_2xx']);
  });

  test('takes over a new module and the one before it again, with no call that fails', async () => {
    const doors = [
      new GrpcStateDoor('Layotto gRPC', await runtime.connect(), LAYOTTO),
      new HttpStateDoor(runtime.target),
    ];
    await doors[0]?.save('statestore', [{ key: 'pushed', value: '"same"' }]);
    let over = false;
    let calls = 0;
    const load = doors.map(async (door) => {
      while (!over) {
        expect(await door.get('statestore', 'pushed')).toMatchObject({ code: 0, value: '"same"' });
        calls++;
      }
    });
    const next = modules.add(variant('next'));
    const loaded = async (sha256: string): Promise<boolean> =>
      (await runtime.admin('/config_dump?resource=ecds_filters')).body.includes(sha256);
    try {
      for (const module of [next, modules.add(MODULE)]) {
        sidecar.push(await apply(module, runtime.config));
        await eventually('Envoy has the pushed module', () => loaded(module.sha256));
        const before = calls;
        await eventually('calls go on', () => calls > before + 50);
      }
    } finally {
      over = true;
    }
    await Promise.all(load);
  });

  test('a module in a spare slot comes and goes, and one that cannot be fetched harms nothing', async () => {
    if (!form.name.startsWith('envoyfilter')) {
      expect(JSON.stringify((await runtime.admin('/config_dump')).body)).not.toContain('layotto.slot');
      return;
    }
    const door = new HttpStateDoor(runtime.target);
    const filter = `extension_config_discovery\\.http_filter\\.layotto\\.slot\\.${SLOT}`;
    const count = async (what: string): Promise<number> => {
      const found = await runtime.stats(new RegExp(`^${filter}\\.${what}$`));
      return Object.values(found).reduce((sum, one) => sum + one, 0);
    };
    const dump = async (): Promise<string> =>
      (await runtime.admin('/config_dump?resource=ecds_filters')).body;
    const ready = async (): Promise<void> =>
      expect(await door.get('statestore', 'k0')).toMatchObject({ code: 0, value: '"v0"' });
    await door.save('statestore', [{ key: 'k0', value: '"v0"' }]);
    const module = modules.add(HELLO);
    const main = modules.add(MODULE);
    sidecar.push(await apply(main, runtime.config, module));
    await eventually('the slot has it', async () => (await dump()).includes(module.sha256));
    await ready();
    const refused = await count('update_rejected');
    sidecar.push(await apply(main, runtime.config, { ...module, sha256: '1'.repeat(64) }));
    await eventually(
      'what came in its place is refused',
      async () => (await count('update_rejected')) > refused,
    );
    expect(await dump()).toContain(module.sha256);
    await ready();
    sidecar.push(await apply(main, runtime.config, 'empty'));
    await eventually('it has gone', async () => !(await dump()).includes(module.sha256));
    await ready();
  });

  test('a module that cannot be fetched', async () => {
    const door = new HttpStateDoor(runtime.target);
    const { url } = modules.add(MODULE);
    sidecar.push(await apply({ url, sha256: '0'.repeat(64) }, runtime.config));
    if (form.name.startsWith('envoyfilter')) {
      const refused = /^extension_config_discovery\.http_filter\.layotto\.runtime\.update_rejected$/;
      await eventually('Envoy has refused what came in its place', async () =>
        Object.values(await runtime.stats(refused)).some((count) => count > 0),
      );
      expect(await door.get('statestore', 'k0')).toMatchObject({ code: 0, value: '"v0"' });
    } else {
      // Istio's own listener takes what the agent sends then: a filter that refuses every call.
      await eventually('calls are refused', async () => {
        const { status } = await http1(runtime.target, 'GET', '/v1.0/metadata');
        return status === 403;
      });
    }
    sidecar.push(await apply(modules.add(variant('good')), runtime.config));
    await eventually('calls are answered', async () => {
      const { status } = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k0');
      return status === 200;
    });
  });
});

test('unknown fields and wrong values of resources are problems', async () => {
  const problems = async (resource: object): Promise<string[] | null> =>
    (await askIstio({ resources: toYaml({ metadata: { name: 'x', namespace: 'y' }, ...resource }) }))
      .problems;
  const filter = { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter' };
  expect(await problems({ ...filter, spec: { workloadSelectr: {} } })).toEqual([
    expect.stringContaining('workloadSelectr'),
  ]);
  const extension = { apiVersion: 'extensions.istio.io/v1alpha1', kind: 'TrafficExtension' };
  expect(await problems({ ...extension, spec: { wasm: { url: '' } } })).toEqual([
    expect.stringContaining('url'),
  ]);
  expect(await problems({ ...extension, kind: 'TrafficExtensio', spec: {} })).toEqual([
    expect.stringContaining('Istio does not know'),
  ]);
});
