import { parse } from 'yaml';
import { catalog } from '../../components-bridge/src/catalog.js';
import { renderEnvoyFilter } from '../../envoy/istio/envoyfilter.js';
import { toYaml } from '../../envoy/yaml.js';
import { composeEnvoyFilter } from '../support/compose-envoyfilter.js';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO, type StateDoor } from '../support/doors.js';
import { grpcFrame, pieces } from '../support/grpc-raw.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { HttpApp } from '../support/http-app.js';
import { http1 } from '../support/http1.js';
import { Publisher } from '../support/publisher.js';
import { EMBEDDED, Runtime, VERSION, type RuntimeOptions } from '../support/runtime.js';
import { silentBridge } from '../support/scripted-bridge.js';
import { eventually } from '../support/wait.js';

/** Runs what a mesh would make of the EnvoyFilter, in place of the standalone bootstrap. */
function fromEnvoyFilter(hold: boolean): Pick<RuntimeOptions, 'bootstrap' | 'hold'> {
  return {
    hold,
    bootstrap: (_rendered, { config, module, adminSocket }) => {
      const filter = renderEnvoyFilter(config, {
        version: VERSION,
        hold,
        apiTokens: [],
        catalog,
        module: { file: '/var/layotto/runtime.wasm' },
      });
      // By way of the text that a person would apply.
      return composeEnvoyFilter(parse(toYaml(filter)), {
        moduleFile: module,
        socket: `${config.dataDir}/session.sock`,
        appSocket: `${config.dataDir}/deliveries.sock`,
        port: config.listen.port,
        adminSocket,
      });
    },
  };
}

const WAYS: [string, Pick<RuntimeOptions, 'bootstrap' | 'hold'>][] = [
  ['the EnvoyFilter', fromEnvoyFilter(false)],
  ['the EnvoyFilter in hold mode', fromEnvoyFilter(true)],
  ['the standalone bootstrap in hold mode', { hold: true }],
];

describe.each(WAYS)('%s', (_name, way) => {
  let runtime: Runtime;
  let doors: StateDoor[];
  let app: HttpApp;

  beforeAll(async () => {
    app = await HttpApp.open();
    app.subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
    await app.start();
    const components = [EMBEDDED, { name: 'pubsub', type: 'pubsub.embedded' }];
    runtime = await Runtime.start({ ...way, concurrency: 2, components, appPort: app.port });
    doors = [
      new GrpcStateDoor('Layotto gRPC', await runtime.connect(), LAYOTTO),
      new GrpcStateDoor('Dapr gRPC', await runtime.connect(), DAPR),
      new HttpStateDoor(runtime.target),
    ];
  });

  afterAll(async () => {
    await runtime?.stop();
    await app?.stop();
  });

  test('answers on every door', async () => {
    for (const [index, door] of doors.entries()) {
      expect(await door.get('statestore', `k${index}`)).toMatchObject({ code: 0, etag: '' });
      expect(await door.save('statestore', [{ key: `k${index}`, value: `"v${index}"` }])).toMatchObject({
        code: 0,
      });
      for (const reader of doors) {
        expect(await reader.get('statestore', `k${index}`)).toMatchObject({
          value: `"v${index}"`,
          etag: '1',
        });
      }
      expect(await door.delete('statestore', `k${index}`, '7')).toMatchObject({ code: door.mismatch });
      expect(await door.get('nope', 'k')).toMatchObject({ message: 'state store nope is not found' });
    }
    expect((await http1(runtime.target, 'GET', '/v1.0/healthz')).status).toBe(204);
    expect((await http1(runtime.target, 'GET', '/v1.0/metadata')).status).toBe(200);
  });

  test('delivers an event to the app by its own listener', async () => {
    const publisher = await Publisher.of(runtime);
    await publisher.publish('orders', { total: 3 });
    await eventually('the app is told', () => app.told('/orders').length === 1);
    expect(app.told('/orders')[0]?.json).toMatchObject({ topic: 'orders', data: { total: 3 } });
    const stats = await runtime.stats(/^(http|cluster)\.layotto_app\.(downstream_rq_2xx|upstream_rq_200)$/);
    expect(stats['http.layotto_app.downstream_rq_2xx']).toBeGreaterThanOrEqual(2);
    expect(stats['cluster.layotto_app.upstream_rq_200']).toBe(stats['http.layotto_app.downstream_rq_2xx']);
  });

  test('takes bodies in pieces, bodies of the largest size, and requests ended by trailers', async () => {
    const client = await runtime.connect();
    const large = saveStateBody('large', Buffer.alloc(4 * 1024 * 1024 - 1024, 0x61));
    const saved = await client.send({ path: `${LAYOTTO}/SaveState`, body: pieces(large, 50_000) });
    expect(saved.grpcStatus).toBe(0);
    const read = await client.send({
      path: `${LAYOTTO}/GetState`,
      body: pieces(getStateBody('large'), 4),
      trailers: { 'x-end': 'true' },
    });
    expect(valueOf(read.messages[0])).toHaveLength(4 * 1024 * 1024 - 1024);
  });

  test('refuses what it refuses elsewhere', async () => {
    const client = await runtime.connect();
    const path = `${LAYOTTO}/GetState`;
    expect((await client.send({ path, body: [] })).grpcStatus).toBe(13);
    expect((await client.send({ path: '/x/y', body: [getStateBody('k')] })).grpcStatus).toBe(12);
    expect(
      (await client.send({ path, headers: { origin: 'x' }, body: [getStateBody('k')] })).grpcStatus,
    ).toBe(7);
    const over = grpcFrame(Buffer.alloc(4 * 1024 * 1024 + 1));
    expect((await client.send({ path: `${LAYOTTO}/SaveState`, body: [over] })).grpcStatus).toBe(8);
    const http = await http1(runtime.target, 'POST', '/v1.0/state/statestore', {
      body: Buffer.alloc(5_000_000),
    });
    expect(http.status).toBe(400);
  });

  test('a header that asks for holding, sent from outside, changes nothing', async () => {
    const client = await runtime.connect();
    const headers = { 'x-layotto-hold': '1', 'x-layotto-reply': '1' };
    const answer = await client.send({
      path: `${LAYOTTO}/GetState`,
      headers,
      body: [getStateBody('absent')],
    });
    expect(answer).toMatchObject({ grpcStatus: 0, httpStatus: 200 });
    expect((await http1(runtime.target, 'GET', '/v1.0/healthz', { headers })).status).toBe(204);
    // Never ended: only the caller's deadline ends it.
    const open = await client.send({
      path: `${LAYOTTO}/GetState`,
      headers: { ...headers, 'grpc-timeout': '300m' },
      body: [getStateBody('absent')],
      end: false,
    });
    expect(open.grpcStatus).toBe(4);
  });
});

test.each(WAYS)('%s keeps deadlines with a bridge that never answers', async (_name, way) => {
  const runtime = await Runtime.start({ ...way, bridge: silentBridge, limits: { deadlineMs: 900 } });
  try {
    const client = await runtime.connect();
    const [timed, plain] = await Promise.all([
      client.send({
        path: `${DAPR}/GetState`,
        headers: { 'grpc-timeout': '300m' },
        body: [getStateBody('k')],
      }),
      client.send({ path: `${DAPR}/GetState`, body: [getStateBody('k')] }),
    ]);
    expect(timed).toMatchObject({ grpcStatus: 4 });
    expect(timed.ms).toBeGreaterThanOrEqual(280);
    expect(timed.ms).toBeLessThan(900);
    expect(plain).toMatchObject({ grpcStatus: 4 });
    expect(plain.ms).toBeGreaterThanOrEqual(880);
  } finally {
    await runtime.stop();
  }
});
