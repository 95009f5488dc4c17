import { Kind } from '../support/frames.js';
import { FakeBridge } from './fake-bridge.js';
import { configuration, Filter, loadRuntime } from './harness.js';

describe('configuration', () => {
  const good = configuration();

  test.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', 'statestore'],
    ['an unfinished object', JSON.stringify(good).slice(0, -1)],
    ['an array', '[]'],
    ['a cluster without a name', JSON.stringify({ ...good, clusters: { session: '', large: 'x' } })],
    ['limits that are words', JSON.stringify({ ...good, limits: { ...good.limits, messageBytes: 'many' } })],
    ['a negative limit', JSON.stringify({ ...good, limits: { ...good.limits, operations: -1 } })],
    ['components that are no list', JSON.stringify({ ...good, components: {} })],
    ['a component without a name', JSON.stringify({ ...good, components: [{ type: 'state.redis' }] })],
    ['a token that is no SHA-256', JSON.stringify({ ...good, tokens: ['secret'] })],
    ['bytes that are no text', '\uFFFF\0{'],
    ['very deep nesting', '['.repeat(100_000)],
  ])('%s is refused with a log line', async (_name, text) => {
    const host = await loadRuntime();
    expect(host.start(text).ok).toBe(false);
    const errors = host.logs.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toMatch(/configuration/);
  });

  test('members it does not know are ignored', async () => {
    const host = await loadRuntime();
    const text = JSON.stringify({
      future: { deep: [1, null, { x: 'y' }] },
      ...good,
      limits: { ...good.limits, later: 1.5e3 },
      components: good.components.map((component) => ({ ...component, colour: 'green' })),
    });
    expect(host.start(text).ok).toBe(true);
    expect(host.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('sessions', () => {
  test('none is opened while the plugin is configured; a tick opens both', async () => {
    const filter = await Filter.configured();
    expect(filter.host.grpcStreams).toEqual([]);
    expect(filter.host.tickMs).toBeGreaterThan(0);
    filter.host.tick(filter.root);
    expect(filter.host.grpcStreams).toMatchObject([
      { target: 'layotto_session', service: 'layotto.bridge.v1.Bridge', method: 'Session' },
      { target: 'layotto_session_large', service: 'layotto.bridge.v1.Bridge', method: 'Session' },
    ]);
  });

  test('clusters whose names are no authority are asked under another', async () => {
    const [session, large] = ['outbound|1||session.internal', 'outbound|1||session-large.internal'];
    const filter = await Filter.configured({ clusters: { session, large } });
    filter.host.tick(filter.root);
    // GrpcService{envoy_grpc{cluster_name, authority}}; every length is below 128.
    const field = (tag: string, text: string): string => tag + String.fromCharCode(text.length) + text;
    expect(filter.host.grpcStreams.map(({ target }) => target)).toEqual(
      [session, large].map((name) => field('\n', field('\n', name) + field('\x12', 'layotto'))),
    );
  });

  test('each side is greeted first, and the pair is recognisable', async () => {
    const { bridge } = await Filter.connected();
    const [small, large] = bridge.open;
    const hellos = [small, large].map((stream) => bridge.hello(stream as NonNullable<typeof stream>));
    expect(hellos).toMatchObject([
      { protocol: 1, version: '1.2.3', configVersion: 'abc', appId: 'shop', large: false },
      { protocol: 1, version: '1.2.3', configVersion: 'abc', appId: 'shop', large: true },
    ]);
    expect(hellos[0]?.pairId).not.toBe(0n);
    expect(hellos[0]?.pairId).toBe(hellos[1]?.pairId);
    const other = await Filter.connected();
    expect(other.bridge.hello(other.bridge.session(false))?.pairId).not.toBe(hellos[0]?.pairId);
  });

  test('a second root context in the same VM has sessions of its own, and the first ends its own', async () => {
    const { host, root, bridge } = await Filter.connected();
    const second = host.addRoot(JSON.stringify(configuration({ configVersion: 'def' })));
    expect(second.ok).toBe(true);
    host.tick(second.root);
    expect(host.grpcStreams).toHaveLength(4);
    bridge.greet();
    const call = host.openStream(second.root);
    call.request({
      ':method': 'GET',
      ':path': '/v1.0/healthz/outbound',
      ':authority': 'localhost',
      ':scheme': 'http',
    });
    expect(call.answer?.status).toBe(204);
    host.removeRoot(root);
    expect(host.grpcStreams.map((stream) => bridge.hello(stream)?.configVersion)).toEqual(['def', 'def']);
  });

  test('a host that cannot open streams is asked again, less and less often', async () => {
    const filter = await Filter.configured();
    filter.host.grpc.openStatus = 10;
    filter.advance(10_000);
    filter.host.grpc.openStatus = 0;
    filter.connect();
    expect(filter.bridge.open).toHaveLength(2);
  });

  test('a bridge that accepts and never greets is dialled again', async () => {
    const filter = await Filter.configured();
    filter.advance(100);
    const first = filter.bridge.open.map(({ token }) => token);
    expect(first).toHaveLength(2);
    filter.advance(3000);
    expect(filter.bridge.open.map(({ token }) => token)).not.toEqual(expect.arrayContaining(first));
    filter.connect();
    expect(filter.getState('k').answer).toBeUndefined();
  });

  test('a closed session is given back to the host and dialled again', async () => {
    const filter = await Filter.connected();
    const old = filter.host.grpcStreams.map(({ token }) => token);
    filter.bridge.close(14);
    expect(filter.host.grpcStreams.map(({ token }) => token)).toEqual([]);
    filter.connect();
    for (const { token } of filter.bridge.open) expect(old).not.toContain(token);
    expect(filter.getState('k').answer).toBeUndefined();
    expect(filter.bridge.requests()).toHaveLength(1);
  });

  test('dialling backs off from 50 ms to 2 s', async () => {
    const filter = await Filter.connected();
    filter.bridge.close(14);
    const gaps: number[] = [];
    let since = 0;
    for (let ms = 0; ms < 30_000; ms += 10) {
      filter.advance(10);
      since += 10;
      if (filter.bridge.open.length === 0) continue;
      gaps.push(since);
      since = 0;
      filter.bridge.close(14);
    }
    expect(gaps.length).toBeGreaterThan(8);
    expect(Math.min(...gaps)).toBeLessThanOrEqual(100);
    expect(Math.max(...gaps)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2200);
  });

  test('a ping is answered with a pong of the same id', async () => {
    const { bridge } = await Filter.connected();
    const small = bridge.session(false);
    bridge.send(small, { id: 77n, kind: Kind.PING });
    expect(bridge.frames(small).at(-1)).toMatchObject({ id: 77n, kind: Kind.PONG });
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['random bytes', Buffer.from('ff07ff61bd0000ff', 'hex')],
    ['a payload longer than the frame', Buffer.from([0x7a, 0x7f, 0x01])],
  ])('a message of %s kills no VM, and calls still work after it', async (_name, bytes) => {
    const filter = await Filter.connected();
    filter.host.callOnGrpcReceive(filter.bridge.session(false).token, bytes);
    filter.connect();
    const call = filter.getState('k');
    expect(filter.bridge.requests()).toHaveLength(1);
    expect(call.answer).toBeUndefined();
  });

  test('frames of kinds and ids it does not know are ignored', async () => {
    const { bridge, host } = await Filter.connected();
    for (const kind of [Kind.PUSH, 99 as Kind, Kind.PONG, Kind.UNSPECIFIED])
      bridge.send(bridge.session(false), { id: 5n, kind });
    for (const kind of [Kind.RESULT, Kind.FAILURE, Kind.ACK])
      bridge.send(bridge.session(true), { id: 99n, kind });
    expect(host.grpcStreams).toHaveLength(2);
  });
});

test('the emulator keeps the rules of the real host', async () => {
  const host = await loadRuntime();
  const { root } = host.start(JSON.stringify(configuration()));
  const stream = host.openStream(root);
  expect(host.setEffective(stream.id)).toBe(0);
  stream.reset();
  expect(host.setEffective(stream.id)).toBe(2);
  expect(() => host.callOnGrpcClose(1234, 0)).toThrow(/1234/);
  expect(new FakeBridge(host).open).toEqual([]);
});
