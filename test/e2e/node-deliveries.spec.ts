import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

import { catalog } from '../../components-bridge/src/catalog.js';
import { renderEnvoyFilter } from '../../envoy/istio/envoyfilter.js';
import { toYaml } from '../../envoy/yaml.js';
import { Child } from '../support/child.js';
import { composeEnvoyFilter } from '../support/compose-envoyfilter.js';
import { HttpApp } from '../support/http-app.js';
import { http1, httpJson } from '../support/http1.js';
import { Publisher } from '../support/publisher.js';
import { Runtime, VERSION } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const program = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));
const COMPONENTS = [
  { name: 'pubsub', type: 'pubsub.embedded' },
  { name: 'configstore', type: 'configuration.embedded' },
];

interface Pod {
  app: HttpApp;
  runtime: Runtime;
}

describe("a node's bridge delivers through the sidecars of pods", () => {
  let dir: string;
  let bridge: Child;
  const pods: Record<string, Pod> = {};

  const pod = (name: string): Pod => {
    const found = pods[name];
    if (found === undefined) throw new Error(`there is no pod ${name}`);
    return found;
  };

  /** An app, and an Envoy as a mesh would make it of the EnvoyFilter, in what would be one pod's view of the node. */
  async function start(appId: string, name: string): Promise<void> {
    const app = await HttpApp.open();
    app.subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
    await app.start();
    const sockets = join(dir, 'sockets', appId);
    const own = join(sockets, 'pods', name);
    // As the kubelet makes it.
    await mkdir(own);
    const runtime = await Runtime.start({
      appId,
      appPort: app.port,
      components: COMPONENTS,
      bridge: 'none',
      bootstrap: (_rendered, { config, module, adminSocket }) => {
        const filter = renderEnvoyFilter(config, {
          ...{ version: VERSION, hold: false, apiTokens: [], catalog },
          module: { file: '/var/layotto/runtime.wasm' },
        });
        const composed = composeEnvoyFilter(parse(toYaml(filter)), {
          ...{ moduleFile: module, port: config.listen.port, adminSocket },
          socket: join(sockets, 'session.sock'),
          appSocket: join(own, 'deliveries.sock'),
        });
        return { ...composed, node: { id: 'sidecar', cluster: 'mesh', metadata: { NAME: name } } };
      },
    });
    pods[name] = { app, runtime };
    await runtime.sessionsOpen();
  }

  const told = (name: string): unknown[] =>
    pod(name)
      .app.told('/orders')
      .map(({ json }) => json['data']);

  async function deliveries(name: string): Promise<number> {
    const found = await pod(name).runtime.stats(/^cluster\.layotto_app\.upstream_rq_200$/);
    return found['cluster.layotto_app.upstream_rq_200'] ?? 0;
  }

  const subscribed = (name: string): Promise<unknown> =>
    eventually(`${name} is asked what it subscribes to`, () => pod(name).app.asked > 0);

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'node-'));
    await mkdir(join(dir, 'apps'));
    await mkdir(join(dir, 'tokens'));
    await writeFile(join(dir, 'tokens', 'orders'), 'of-orders\n');
    for (const app of ['orders', 'billing']) {
      const components = COMPONENTS.map(({ name, type }) => `  - {name: ${name}, type: ${type}}\n`).join('');
      // Its port is the sidecar's business; here it says that the app listens.
      const token = app === 'orders' ? ', tokenFile: ../tokens/orders' : '';
      await writeFile(
        join(dir, 'apps', `${app}.yaml`),
        `app: {port: 8080${token}}\ncomponents:\n${components}`,
      );
    }
    bridge = new Child('bridge', process.execPath, [
      ...[program, 'bridge', '--node', '--log-level', 'debug'],
      ...['--apps', join(dir, 'apps'), '--socket-dir', join(dir, 'sockets'), '--data-dir', join(dir, 'data')],
    ]);
    await eventually('both apps are served', async () => {
      const admin = { socketPath: join(dir, 'data', 'bridge-admin.sock') };
      const { body } = await http1(admin, 'GET', '/metrics');
      return (body.match(/component_ready\{app="[^}]*pubsub\.embedded"\} 1/g) ?? []).length === 2;
    });
    await Promise.all([
      start('orders', 'orders-1'),
      start('orders', 'orders-2'),
      start('billing', 'billing-1'),
    ]);
  });

  afterAll(async () => {
    for (const { app, runtime } of Object.values(pods)) {
      await runtime.stop();
      await app.stop();
    }
    bridge?.signal('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });

  it("an app's events reach its own pods, each event one of them, and no other app", async () => {
    await Promise.all(Object.keys(pods).map(subscribed));
    const [orders, billing] = await Promise.all(
      ['orders-1', 'billing-1'].map((name) => Publisher.of(pod(name).runtime)),
    );
    for (let n = 0; n < 40; n++) await orders?.publish('orders', n);
    for (let n = 100; n < 105; n++) await billing?.publish('orders', n);
    const inOrders = (): unknown[] => [...told('orders-1'), ...told('orders-2')];
    await eventually('all have come', () => inOrders().length >= 40 && told('billing-1').length >= 5);
    expect(inOrders().sort()).toEqual(Array.from({ length: 40 }, (_, n) => n).sort());
    expect(told('billing-1').sort()).toEqual([100, 101, 102, 103, 104]);
    for (const name of Object.keys(pods)) {
      expect(told(name).length).toBeGreaterThan(0);
      expect(await deliveries(name)).toBeGreaterThan(told(name).length);
    }
  });

  it('apps are called with the token that a file holds for them, and with that of no other', async () => {
    const tokens = (name: string): unknown[] =>
      pod(name).app.calls.map(({ headers }) => headers['dapr-api-token']);
    expect(new Set(tokens('orders-1'))).toEqual(new Set(['of-orders']));
    expect(new Set(tokens('billing-1'))).toEqual(new Set([undefined]));
    await writeFile(join(dir, 'tokens', 'orders'), 'another');
    const publisher = await Publisher.of(pod('orders-1').runtime);
    await eventually('the new one is sent', async () => {
      await publisher.publish('orders', 1_000);
      return [...tokens('orders-1'), ...tokens('orders-2')].includes('another');
    });
  });

  it('a change of configuration is told in the pod that asked', async () => {
    const { runtime } = pod('orders-2');
    const path = '/v1.0/configuration/configstore/subscribe?key=color';
    expect((await http1(runtime.target, 'GET', path)).status).toBe(200);
    const saved = await httpJson(runtime.target, 'POST', '/v1.0-layotto/configuration/SaveConfiguration', {
      store_name: 'configstore',
      items: [{ key: 'color', content: 'green' }],
    });
    expect(saved.status).toBe(200);
    const changes = (name: string): number => pod(name).app.told('/configuration/configstore/color').length;
    await eventually('it is told', () => changes('orders-2') > 0);
    expect(changes('orders-1') + changes('billing-1')).toBe(0);
  });

  it('what a pod cannot take any more, the other one gets', async () => {
    const before = told('orders-1').length;
    pod('orders-2').runtime.envoy.signal('SIGKILL');
    await pod('orders-2').runtime.envoy.exited;
    const publisher = await Publisher.of(pod('orders-1').runtime);
    for (let n = 200; n < 220; n++) await publisher.publish('orders', n);
    const wanted = Array.from({ length: 20 }, (_, n) => n + 200);
    await eventually('all have come', () => told('orders-1').length >= before + 20, { timeoutMs: 20_000 });
    expect(told('orders-1').filter((n) => Number(n) >= 200)).toEqual(expect.arrayContaining(wanted));
    expect(told('billing-1')).toHaveLength(5);
  });

  it('a pod that is back is subscribed again, and an app without a sidecar is not asked', async () => {
    const asked = pod('orders-2').app.asked;
    await pod('orders-2').runtime.restartEnvoy();
    await eventually('it is asked again', () => pod('orders-2').app.asked > asked);
    expect(bridge.log).not.toContain('no sidecar of the app takes deliveries');
  });
});
