import { Redis } from 'ioredis';

import { toYaml } from '../../envoy/yaml.js';
import { subscribeDapr, subscribeLayotto } from '../support/configuration-streams.js';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { FileClient } from '../support/file-client.js';
import { grpcFrame, pieces } from '../support/grpc-raw.js';
import { http1, httpJson } from '../support/http1.js';
import { Publisher } from '../support/publisher.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { eventually } from '../support/wait.js';
import { CASES, IN_SLOT } from './forms.js';
import { askIstio } from './istio.js';
import { HELLO, MODULE, variant } from './modules.js';
import { MeshRoom } from './room.js';

describe.each(CASES)('%s, Istio %s', (_name, istioVersion, form) => {
  let room: MeshRoom;

  beforeAll(async () => {
    room = await MeshRoom.open(form, istioVersion);
  });

  afterAll(() => room?.close());

  test('serves Layotto gRPC, Dapr gRPC and Dapr HTTP', async () => {
    const doors = [
      new GrpcStateDoor('Layotto gRPC', await room.runtime.connect(), LAYOTTO),
      new GrpcStateDoor('Dapr gRPC', await room.runtime.connect(), DAPR),
      new HttpStateDoor(room.runtime.target),
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
      httpJson(room.runtime.target, 'POST', `/v1.0-layotto/state/${operation}`, body);
    const saved = await json('SaveState', { ...store, states: [{ key: 'j', value: 'djE=' }] });
    expect(saved.status).toBe(200);
    expect(await json('GetState', { ...store, key: 'j' })).toMatchObject({ json: { data: 'djE=' } });
    expect((await http1(room.runtime.target, 'GET', '/v1.0/healthz')).status).toBe(204);
    expect((await http1(room.runtime.target, 'GET', '/v1.0/metadata')).status).toBe(200);
    const { actuator } = room.runtime.config.listen;
    const own = actuator === undefined ? [] : [{ port: actuator.port }];
    for (const target of [room.runtime.target, ...own]) {
      const readiness = await httpJson(target, 'GET', '/actuator/health/readiness');
      expect(readiness).toMatchObject({ status: 200, json: { status: 'UP' } });
    }
    for (const target of own) expect((await http1(target, 'GET', '/v1.0/metadata')).status).toBe(404);
  });

  test.each(['127.0.0.1', 'localhost'])('serves streams to callers of %s', async (host) => {
    const files = new FileClient(`${host}:${room.runtime.port}`);
    const large = Buffer.alloc(3 * 1024 * 1024, host);
    await files.write('large', [large.subarray(0, 1_000_000), large.subarray(1_000_000)]);
    expect((await files.read('large')).equals(large)).toBe(true);
    files.close();
  });

  test('serves subscriptions', async () => {
    const layotto = subscribeLayotto(room.runtime.port, { storeName: 'configstore', keys: ['color'] });
    const outside = new Redis({ port: room.redisPort, host: '127.0.0.1' });
    const dapr = subscribeDapr(room.runtime.port, { storeName: 'configstore', keys: ['color'] });
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
    const { status, body } = await http1(room.runtime.target, 'PUT', path, { body: 'x'.repeat(2_000_000) });
    if (form.name === 'trafficextension --stable') {
      expect(status).toBe(501);
      return;
    }
    expect(JSON.parse(body)).toMatchObject({ app: 'callee', method: 'PUT', url: '/a/b?c=1' });
    expect(room.callee.last).toMatchObject({
      bytes: 2_000_000,
      headers: { 'dapr-callee-app-id': name },
    });
    const failed = await http1(room.runtime.target, 'GET', `/v1.0/invoke/${name}/method/status/503`);
    expect(failed).toMatchObject({ status: 503, body: 'status 503' });
  });

  test('sends gRPC on to the app that its metadata names', async () => {
    const client = await room.runtime.connect();
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
    const client = await room.runtime.connect();
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
    const { status } = await http1(room.runtime.target, 'POST', '/v1.0/state/statestore', { body });
    expect(status).toBe(form.bounded ? 413 : 204);
    const most = JSON.stringify([{ key: 'body', value: 'x'.repeat(4 * 1024 * 1024 - 1_000) }]);
    const large = await http1(room.runtime.target, 'POST', '/v1.0/state/statestore', { body: most });
    expect(large.status).toBe(form.bounded ? 413 : 204);
  });

  test("deliveries, by the sidecar's own listener where one can be added", async () => {
    // A bridge that `layotto run` has not started calls the app itself where there is none; this one never does.
    if (form.bounded) {
      expect(await room.runtime.stats(/layotto_app/)).toEqual({});
      return;
    }
    const publisher = await Publisher.of(room.runtime);
    await publisher.publish('orders', { total: 3 });
    await eventually('the app is told', () => room.app.told('/orders').length === 1);
    const stats = await room.runtime.stats(
      /^(http|cluster)\.layotto_app\.(downstream_rq_2xx|upstream_rq_200)$/,
    );
    expect(stats['http.layotto_app.downstream_rq_2xx']).toBeGreaterThanOrEqual(2);
    expect(stats['cluster.layotto_app.upstream_rq_200']).toBe(stats['http.layotto_app.downstream_rq_2xx']);
  });

  test('takes over a new module and the one before it again, with no call that fails', async () => {
    const doors = [
      new GrpcStateDoor('Layotto gRPC', await room.runtime.connect(), LAYOTTO),
      new HttpStateDoor(room.runtime.target),
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
    const next = room.modules.add(variant('next'));
    const loaded = async (sha256: string): Promise<boolean> =>
      (await room.runtime.admin('/config_dump?resource=ecds_filters')).body.includes(sha256);
    try {
      for (const module of [next, room.modules.add(MODULE)]) {
        await room.apply(module);
        await eventually('Envoy has the pushed module', () => loaded(module.sha256));
        const before = calls;
        await eventually('calls go on', () => calls > before + 50);
      }
    } finally {
      over = true;
    }
    await Promise.all(load);
  });

  test('a module in a spare slot comes and goes, beside calls that go on', async () => {
    const door = new HttpStateDoor(room.runtime.target);
    await door.save('statestore', [{ key: 'k0', value: '"v0"' }]);
    const main = room.modules.add(MODULE);
    const module = room.modules.add(HELLO);
    const hello = () =>
      httpJson(room.runtime.target, 'POST', '/v1.0-layotto/hello/SayHello', {
        serviceName: 'helloworld',
        name: 'Ada',
      });
    /** Whether the module in the slot takes hello. Everything else is the runtime's all the time. */
    const inSlot = async (): Promise<boolean> => {
      const { status, body } = await hello();
      expect(await door.get('statestore', 'k0')).toMatchObject({ code: 0, value: '"v0"' });
      if (status === 200) return false;
      expect(body).toContain(IN_SLOT);
      return true;
    };
    expect(await inSlot()).toBe(false);
    await room.apply(main, module);
    await eventually('it answers in the place of the runtime', inSlot);

    const dump = async (): Promise<string> =>
      (await room.runtime.admin('/config_dump?resource=ecds_filters')).body;
    await room.apply(main, { ...module, sha256: '1'.repeat(64) });
    if (form.unfetched === 'stays') {
      const refused = /^extension_config_discovery\.http_filter\.layotto\.slot\.slot-1\.update_rejected$/;
      await eventually('what came in its place is refused', async () =>
        Object.values(await room.runtime.stats(refused)).some((count) => count > 0),
      );
      expect(await inSlot()).toBe(true);
      expect(await dump()).toContain(module.sha256);
    } else {
      await eventually('what came in its place refuses every call', async () => {
        const { status } = await http1(room.runtime.target, 'GET', '/v1.0/metadata');
        return status === 403;
      });
    }

    await room.apply(main, 'empty');
    if (form.unfetched === 'refuses')
      await eventually('calls are answered again', async () => {
        const { status } = await http1(room.runtime.target, 'GET', '/v1.0/metadata');
        return status === 200;
      });
    await eventually('the runtime answers by itself', async () => !(await inSlot()));
  });

  test('a module that cannot be fetched', async () => {
    const door = new HttpStateDoor(room.runtime.target);
    const { url } = room.modules.add(MODULE);
    await room.apply({ url, sha256: '0'.repeat(64) });
    if (form.name.startsWith('envoyfilter')) {
      const refused = /^extension_config_discovery\.http_filter\.layotto\.runtime\.update_rejected$/;
      await eventually('Envoy has refused what came in its place', async () =>
        Object.values(await room.runtime.stats(refused)).some((count) => count > 0),
      );
      expect(await door.get('statestore', 'k0')).toMatchObject({ code: 0, value: '"v0"' });
    } else {
      // Istio's own listener takes what the agent sends then: a filter that refuses every call.
      await eventually('calls are refused', async () => {
        const { status } = await http1(room.runtime.target, 'GET', '/v1.0/metadata');
        return status === 403;
      });
    }
    await room.apply(room.modules.add(variant('good')));
    await eventually('calls are answered', async () => {
      const { status } = await http1(room.runtime.target, 'GET', '/v1.0/state/statestore/k0');
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
