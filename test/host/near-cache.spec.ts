import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { PushSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import {
  DeleteStateResponseSchema,
  GetStateRequestSchema,
  GetStateResponseSchema,
  SaveStateResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { unframe } from '../support/grpc-raw.js';
import { Kind } from '../support/frames.js';
import { configuration, Filter, getState, grpcHeaders } from './harness.js';
import { grpcFrame } from '../support/grpc-raw.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const COMPONENT = {
  name: 'statestore',
  type: 'state.redis',
  version: 'v1',
  primitive: 'state',
  capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
};
const MAX_AGE_MS = 5_000;

function connected(cacheBytes = 8_388_608): Promise<Filter> {
  const { limits } = configuration();
  return Filter.connected({
    limits: { ...limits, cacheBytes },
    components: [
      { ...COMPONENT, nearCacheMs: MAX_AGE_MS },
      { ...COMPONENT, name: 'plain' },
    ],
  });
}

/** What a stream was answered, or `asked` if it waits for the bridge. */
function outcome(stream: HttpStream): string {
  if (stream.answer === undefined) return 'asked';
  const [message] = unframe(stream.answer.body);
  return Buffer.from(fromBinary(GetStateResponseSchema, message as Buffer).data).toString();
}

/** Reads a key through the bridge, which answers with the value. */
function fill(filter: Filter, key: string, value: string): void {
  const stream = filter.getState(key);
  expect(outcome(stream)).toBe('asked');
  filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {
    data: Buffer.from(value),
    etag: '1',
  });
  expect(outcome(stream)).toBe(value);
}

function push(filter: Filter, invalidation: MessageInitShape<typeof PushSchema>['invalidation']): void {
  const payload = toBinary(
    PushSchema,
    create(PushSchema, invalidation === undefined ? {} : { invalidation }),
  );
  filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload });
}

describe('a kept answer', () => {
  test('answers the next reads through every door, without the bridge', async () => {
    const filter = await connected();
    fill(filter, 'k', '{"n":1}');
    const asked = filter.bridge.requests().length;
    expect(outcome(filter.getState('k'))).toBe('{"n":1}');
    const dapr = filter.grpc('/dapr.proto.runtime.v1.Dapr/GetState', getState('k'));
    expect(outcome(dapr)).toBe('{"n":1}');
    const http = filter.http('GET', '/v1.0/state/statestore/k');
    expect(http.answer).toMatchObject({ status: 200, body: Buffer.from('{"n":1}') });
    expect(http.answer?.headers.object()).toMatchObject({ etag: '1' });
    expect(http.answer?.headers.get('server-timing')).toMatch(/^filter;dur=[\d.]+, cache;desc=hit$/);
    expect(filter.bridge.requests()).toHaveLength(asked);
  });

  test('of a key that is absent is kept as well', async () => {
    const filter = await connected();
    fill(filter, 'absent', '');
    expect(outcome(filter.getState('absent'))).toBe('');
    expect(filter.http('GET', '/v1.0/state/statestore/absent').answer).toMatchObject({ status: 204 });
  });

  test.each([
    ['one that must be what is there now', { consistency: 2 }],
    ['one with metadata', { metadata: { partitionKey: 'p' } }],
    ['one of a store that keeps none', { storeName: 'plain' }],
    ['one of another key', { key: 'K' }],
  ])('is not given to a read that it does not serve: %s', async (_, more) => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    const request = create(GetStateRequestSchema, { storeName: 'statestore', key: 'k', ...more });
    const stream = filter.grpc(
      '/spec.proto.runtime.v1.Runtime/GetState',
      toBinary(GetStateRequestSchema, request),
    );
    expect(outcome(stream)).toBe('asked');
  });

  test('is given up when it is too old, and not before', async () => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    filter.advance(MAX_AGE_MS - 100);
    expect(outcome(filter.getState('k'))).toBe('v');
    filter.advance(200);
    expect(outcome(filter.getState('k'))).toBe('asked');
  });

  test('is given up when the bridge says that its key changed', async () => {
    const filter = await connected();
    for (const key of ['a', 'b']) fill(filter, key, 'v');
    push(filter, { primitive: 'state', component: 'statestore', keys: ['a', 'unknown'] });
    expect([outcome(filter.getState('a')), outcome(filter.getState('b'))]).toEqual(['asked', 'v']);
    push(filter, { primitive: 'state', component: 'statestore', all: true });
    expect(outcome(filter.getState('b'))).toBe('asked');
  });

  test('is not touched by pushes about something else, nor by a push that says nothing', async () => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    push(filter, { primitive: 'state', component: 'plain', keys: ['k'] });
    push(filter, { primitive: 'lock', component: 'statestore', all: true });
    push(filter, { primitive: 'state', component: 'nobody', all: true });
    push(filter, undefined);
    expect(outcome(filter.getState('k'))).toBe('v');
  });

  test('is given up when a push cannot be read', async () => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload: Buffer.from([0x0a, 0x7f]) });
    expect(outcome(filter.getState('k'))).toBe('asked');
  });

  test('answers while the bridge is away, and is given up when it is back', async () => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    filter.bridge.close();
    expect(outcome(filter.getState('k'))).toBe('v');
    expect(filter.getState('unknown').answer).toMatchObject({ grpcStatus: 14 });
    filter.connect();
    expect(outcome(filter.getState('k'))).toBe('asked');
  });
});

describe('a writer reads what it wrote', () => {
  const writes: [string, (filter: Filter) => HttpStream, 'save' | 'delete'][] = [
    ['a save', (filter) => filter.saveState('k', Buffer.from('new')), 'save'],
    [
      'a save over HTTP',
      (filter) => filter.http('POST', '/v1.0/state/statestore', '[{"key":"k","value":1}]'),
      'save',
    ],
    [
      'a save of several over HTTP',
      (filter) =>
        filter.http(
          'POST',
          '/v1.0/state/statestore',
          '[{"key":"a","value":1},{"key":"k","value":1},{"key":"z","value":1}]',
        ),
      'save',
    ],
    ['a delete over HTTP', (filter) => filter.http('DELETE', '/v1.0/state/statestore/k'), 'delete'],
    [
      'a transaction over HTTP',
      (filter) =>
        filter.http(
          'POST',
          '/v1.0/state/statestore/transaction',
          '{"operations":[{"operation":"delete","request":{"key":"k"}}]}',
        ),
      'save',
    ],
  ];

  test.each(writes)('%s', async (_, write, kind) => {
    const filter = await connected();
    fill(filter, 'k', 'old');
    write(filter);
    const request = filter.bridge.lastRequest();
    // Until the write is acknowledged either value will do.
    expect(outcome(filter.getState('k'))).toBe('old');
    if (kind === 'save') filter.bridge.result(request, SaveStateResponseSchema, {});
    else filter.bridge.result(request, DeleteStateResponseSchema, {});
    expect(outcome(filter.getState('k'))).toBe('asked');
  });

  test('also when it wrote before', async () => {
    const filter = await connected();
    for (const value of ['one', 'two', 'three']) {
      fill(filter, 'k', value);
      filter.saveState('k', Buffer.from('next'));
      filter.bridge.result(filter.bridge.lastRequest(), SaveStateResponseSchema, {});
    }
    expect(outcome(filter.getState('k'))).toBe('asked');
  });

  test('also when the write failed: it may have been done', async () => {
    const filter = await connected();
    fill(filter, 'k', 'old');
    filter.saveState('k', Buffer.from('new'));
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'the store went away');
    expect(outcome(filter.getState('k'))).toBe('asked');
  });

  test('also through another thread, and also when that one was reading meanwhile', async () => {
    const filter = await connected();
    const { host } = filter;
    const { limits } = configuration();
    const other = host.addRoot(
      JSON.stringify(configuration({ limits, components: [{ ...COMPONENT, nearCacheMs: MAX_AGE_MS }] })),
    ).root;
    host.advance(other, 100);
    filter.bridge.greet();
    const readThere = (): HttpStream =>
      host
        .openStream(other)
        .request(grpcHeaders('/spec.proto.runtime.v1.Runtime/GetState'), grpcFrame(getState('k')));

    const reading = readThere();
    const read = filter.bridge.requests().find(({ frame }) => frame.method.endsWith('/GetState'));
    filter.saveState('k', Buffer.from('new'));
    const saved = filter.bridge.requests().find(({ frame }) => frame.method.endsWith('/SaveState'));
    if (read === undefined || saved === undefined) throw new Error('a request is missing');
    filter.bridge.result(saved, SaveStateResponseSchema, {});
    // The store was read before the write; the answer comes after it.
    filter.bridge.result(read, GetStateResponseSchema, { data: Buffer.from('old'), etag: '1' });
    expect(outcome(reading)).toBe('old');
    expect(outcome(readThere())).toBe('asked');
  });
});

describe('what is kept', () => {
  test('stays within its limit, and is given back', async () => {
    const filter = await connected(65_536);
    for (let i = 0; i < 200; i++) fill(filter, `key-${i}`, 'x'.repeat(2_000));
    filter.advance(1_000);
    expect(filter.host.metric('layotto_near_cache_bytes')).toBeLessThanOrEqual(65_536);
    expect(filter.host.metric('layotto_near_cache_bytes')).toBeGreaterThan(32_768);
    expect(filter.host.metric('layotto_bytes_held')).toBe(0);
    push(filter, { primitive: 'state', component: 'statestore', all: true });
    filter.advance(1_000);
    expect(filter.host.metric('layotto_near_cache_bytes')).toBe(0);
  });

  test('goes when it is given up and nobody sends it any more, whichever comes last', async () => {
    const filter = await connected(65_536);
    const { host, bridge, root } = filter;
    const slow = (key: string): HttpStream => {
      const stream = host.openStream(root);
      stream.unread = true;
      return stream.request(grpcHeaders('/spec.proto.runtime.v1.Runtime/GetState'), grpcFrame(getState(key)));
    };
    const round = (n: number): void => {
      const [key, value] = [`key-${n}`, `${n}`.padEnd(2_000, 'x')];
      const readers = [slow(key)];
      bridge.result(bridge.lastRequest(), GetStateResponseSchema, { data: Buffer.from(value) });
      readers.push(slow(key), slow(key));
      expect(readers.map(outcome)).toEqual([value, value, value]);
      if (n % 2 === 0) readers.pop()?.reset();
      if (n % 3 === 0) for (const reader of readers.splice(0)) reader.reset();
      push(filter, { primitive: 'state', component: 'statestore', keys: [key] });
      // Takes memory, if some was given back.
      fill(filter, `other-${n % 7}`, `${n}`.padEnd(2_000, 'y'));
      for (const reader of readers) reader.reset();
      expect(outcome(filter.getState(`other-${n % 7}`))).toBe(`${n}`.padEnd(2_000, 'y'));
      push(filter, { primitive: 'state', component: 'statestore', keys: [`other-${n % 7}`] });
      bridge.forget();
    };
    for (let n = 0; n < 500; n++) round(n);
    const before = host.memoryBytes;
    for (let n = 500; n < 4_000; n++) round(n);
    expect(host.memoryBytes).toBe(before);
    expect(filter.complaints).toEqual([]);
  });

  test('does not include what is too large for it', async () => {
    const filter = await connected(65_536);
    fill(filter, 'large', 'x'.repeat(9_000));
    expect(outcome(filter.getState('large'))).toBe('asked');
  });

  test('is counted', async () => {
    const filter = await connected();
    fill(filter, 'k', 'v');
    filter.getState('k');
    filter.getState('k');
    push(filter, { primitive: 'state', component: 'statestore', keys: ['k'] });
    filter.advance(1_000);
    expect(filter.host.metric('layotto_near_cache_reads_total;result=hit')).toBe(2);
    expect(filter.host.metric('layotto_near_cache_reads_total;result=miss')).toBe(1);
    expect(filter.host.metric('layotto_near_cache_invalidations_total')).toBe(1);
  });
});
