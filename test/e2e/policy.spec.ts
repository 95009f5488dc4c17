import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { PolicyConfig, PolicyRule } from '../../components-bridge/src/policy/types.js';
import { DAPR, GrpcStateDoor, LAYOTTO } from '../support/doors.js';
import { failureOf, FileClient } from '../support/file-client.js';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { load } from '../support/load.js';
import { getStateBody } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

function rule(name: string, effect: 'allow' | 'deny', more: Partial<PolicyRule> = {}): PolicyRule {
  const empty = { apps: [], primitives: [], operations: [], components: [], secrets: [], topics: [] };
  return { name, effect, ...empty, ...more };
}

describe('a policy on a real Envoy', () => {
  const policy: PolicyConfig = {
    default: 'deny',
    trustDomain: 'cluster.local',
    rules: [
      rule('reads', 'allow', { apps: ['app'], primitives: ['state'], components: ['open'] }),
      rule('files', 'allow', { primitives: ['file'], components: ['file'] }),
      rule('mesh', 'allow', { apps: ['spiffe://cluster.local/ns/shop/sa/*'], primitives: ['lock'] }),
      rule('no-deletes', 'deny', { operations: ['DeleteState'] }),
    ],
  };
  const components = [
    { name: 'open', type: 'state.embedded' },
    { name: 'shut', type: 'state.embedded' },
    { name: 'file', type: 'file.local' },
    { name: 'shut', type: 'file.local' },
  ];
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ components, policy, metrics: true, waitForComponents: false });
    await eventually('the store answers', async () => {
      const { status } = await http1(runtime.target, 'GET', '/v1.0/state/open/none');
      return status === 204;
    });
  });

  afterAll(() => runtime?.stop());

  const words = (operation: string, store: string, why: string): string =>
    `app "app" may not call state ${operation} of component "${store}": denied by the policy, ${why}`;

  test.each([
    ['Layotto', LAYOTTO],
    ['Dapr', DAPR],
  ])('holds at the gRPC door of %s', async (name, service) => {
    const door = new GrpcStateDoor(name, await runtime.connect(), service);
    expect((await door.save('open', [{ key: 'k', value: 'v' }])).code).toBe(0);
    expect(await door.get('open', 'k')).toMatchObject({ code: 0, value: 'v' });
    expect(await door.get('shut', 'k')).toMatchObject({
      code: 7,
      message: words('GetState', 'shut', 'by default'),
    });
    expect((await door.get('nope', 'k')).code).toBe(7);
    expect(await door.delete('open', 'k')).toMatchObject({
      code: 7,
      message: 'app "app" may not call state DeleteState: denied by the policy, rule "no-deletes"',
    });
  });

  test("holds at Dapr's HTTP door and at the JSON door", async () => {
    const dapr = (method: string, path: string) => http1(runtime.target, method, path);
    expect((await dapr('GET', '/v1.0/state/open/none')).status).toBe(204);
    const denied = await dapr('GET', '/v1.0/state/shut/k');
    expect(denied.status).toBe(403);
    expect(JSON.parse(denied.body)).toEqual({
      errorCode: 'ERR_PERMISSION_DENIED',
      message: words('GetState', 'shut', 'by default'),
    });
    const json = (storeName: string) =>
      http1(runtime.target, 'POST', '/v1.0-layotto/state/GetState', {
        body: JSON.stringify({ storeName, key: 'k' }),
      });
    expect((await json('open')).status).toBe(200);
    const refused = await json('shut');
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body)).toMatchObject({ errorCode: 'PERMISSION_DENIED' });
    expect((await dapr('GET', '/v1.0/metadata')).status).toBe(403);
    expect((await dapr('GET', '/v1.0/healthz')).status).toBe(204);
  });

  test('holds for streams: in the bridge, once it is known which component', async () => {
    const client = new FileClient(`127.0.0.1:${runtime.port}`);
    await client.write('a', [Buffer.from('text')]);
    expect(String(await client.read('a'))).toBe('text');
    client.close();
    const shut = new FileClient(`127.0.0.1:${runtime.port}`, 'shut');
    expect(await failureOf(shut.read('a'))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    shut.close();
  });

  test('counts what it denied, by rule', async () => {
    await eventually('denials are in the metrics', async () => {
      const { body } = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/stats/prometheus');
      const of = (name: string): number =>
        Number(
          new RegExp(`layotto_policy_denials_total\\{[^}]*rule="${name}"[^}]*\\} (\\d+)`).exec(body)?.[1] ??
            0,
        );
      return of('default') >= 6 && of('no-deletes') === 2;
    });
  });
});

describe('in a mesh', () => {
  test("the app is its workload: Envoy's node says which", async () => {
    const policy: PolicyConfig = {
      default: 'deny',
      trustDomain: 'prod.example',
      rules: [rule('mesh', 'allow', { apps: ['spiffe://prod.example/ns/shop/sa/checkout'] })],
    };
    const node = (account: string) => (rendered: { node?: object }) => ({
      ...rendered,
      node: { ...rendered.node, metadata: { NAMESPACE: 'shop', SERVICE_ACCOUNT: account } },
    });
    for (const [account, status] of [
      ['checkout', 204],
      ['cart', 403],
    ] as const) {
      const runtime = await Runtime.start({
        policy,
        components: [
          { name: 'statestore', type: 'state.embedded' },
          { name: 'vault', type: 'secretstores.local.env' },
        ],
        waitForComponents: false,
        bootstrap: node(account),
      });
      try {
        await eventually(`${account} gets ${status}`, async () => {
          const answer = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k');
          if (answer.status !== status) throw new Error(`${answer.status} ${answer.body}`);
          return true;
        });
        // The bridge decides about secrets too, and has heard who the app is.
        const secret = await http1(runtime.target, 'GET', '/v1.0/secrets/vault/PATH');
        expect(secret.status).toBe(status === 204 ? 200 : 403);
      } finally {
        await runtime.stop();
      }
    }
  });
});

describe('an edit', () => {
  let lab: CommandLab;

  beforeEach(async () => {
    lab = await CommandLab.open();
  });

  afterEach(() => lab.close());

  test('of the policy takes effect under load, and no call fails for it', async () => {
    const components = ['statestore', 'other'].map((name) => ({ name, type: 'state.embedded' }));
    const edit = (policy?: object): void => lab.edit(components, { policy });
    edit();
    const run = lab.layotto(['run', '-c', 'layotto.yaml', '--data-dir', lab.dataDir]);
    await lab.ready(run);
    const bridge = lab.process('main.js');
    const other = () => http1({ port: lab.port }, 'GET', '/v1.0/state/other/k');
    expect((await other()).status).toBe(204);

    const loading = load({
      target: { port: lab.port },
      path: `${LAYOTTO}/GetState`,
      body: getStateBody('x'),
      inflight: 4,
      connections: 2,
      pauseMs: 2,
      seconds: 15,
    });
    const only = { default: 'deny', rules: [{ name: 'only', allow: { components: ['statestore'] } }] };
    for (let turn = 1; turn <= 3; turn++) {
      edit(only);
      await eventually(
        'it is said',
        () => run.log.split('layotto: policy: now 1 rule, deny by default\n').length > turn,
      );
      await eventually('it holds', async () => (await other()).status === 403);
      edit();
      await eventually(
        'it is said',
        () => run.log.split('layotto: policy: now none, everything is allowed\n').length > turn,
      );
      await eventually('it does not hold any more', async () => (await other()).status === 204);
    }
    const { calls, failed, statuses } = await loading;
    expect(statuses).toEqual({ 0: calls });
    expect(failed).toBe(0);
    expect(calls).toBeGreaterThan(500);
    // Nothing was restarted.
    expect(lab.process('main.js')).toBe(bridge);
    expect(readFileSync(join(lab.dataDir, 'bridge.log'), 'utf8')).not.toContain('different configurations');
  }, 90_000);
});
