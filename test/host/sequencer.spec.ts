import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { grpcFrame, unframe } from '../support/grpc-raw.js';
import { Filter, grpcHeaders } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const PATH = '/spec.proto.runtime.v1.Runtime/GetNextId';
const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;

const IDS: PluginComponent = {
  name: 'ids',
  type: 'sequencer.redis',
  version: 'v1',
  primitive: 'sequencer',
  capabilities: [],
};
const RUNS: PluginComponent = { ...IDS, name: 'runs', segments: true };

const connected = (): Promise<Filter> => Filter.connected({ components: [IDS, RUNS] });

function message(storeName: string, key: string, increment?: number): Uint8Array {
  const options = increment === undefined ? undefined : { increment };
  const request = create(pb.GetNextIdRequestSchema, { storeName, key, ...(options && { options }) });
  return toBinary(pb.GetNextIdRequestSchema, request);
}

function next(filter: Filter, key = 'k', storeName = 'runs', increment?: number): HttpStream {
  return filter.grpc(PATH, message(storeName, key, increment));
}

/** The id that a call was answered with; undefined if it was not answered. */
function idOf(stream: HttpStream): bigint | undefined {
  if (stream.answer === undefined) return undefined;
  expect(stream.answer.grpcStatus).toBe(0);
  const [only] = unframe(stream.answer.body);
  return BigInt(fromBinary(pb.GetNextIdResponseSchema, only as Buffer).nextId);
}

/** The operations asked for, without the service. */
function asked({ bridge }: Filter): string[] {
  return bridge.requests().map(({ frame }) => frame.method.replace('layotto.bridge.v1.Sequencer/', ''));
}

/** Answers the last request with a run. */
function give({ bridge }: Filter, from: bigint, to: bigint): void {
  bridge.result(bridge.lastRequest(), pb.GetSegmentResponseSchema, { from, to });
}

describe('each id asked for', () => {
  test.each([
    ['ids', undefined],
    ['ids', WEAK],
    ['ids', STRONG],
    ['runs', STRONG],
  ])('%s, increment %p: goes out as it came, and the answer comes back', async (store, increment) => {
    const filter = await connected();
    const stream = next(filter, 'k', store, increment);
    const request = filter.bridge.lastRequest();
    expect(asked(filter)).toEqual(['GetNextId']);
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message(store, 'k', increment)));
    filter.bridge.result(request, pb.GetNextIdResponseSchema, { nextId: '9223372036854775807' });
    expect(idOf(stream)).toBe(9223372036854775807n);
  });

  test('once more when the session breaks: an id lost is a gap', async () => {
    const filter = await connected();
    const stream = next(filter, 'k', 'ids', STRONG);
    filter.bridge.close();
    filter.connect();
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetNextIdResponseSchema, { nextId: '5' });
    expect(idOf(stream)).toBe(5n);
  });

  test.each([
    ['no key', ['ids', ''], 'Key is empty in sequencer store ids'],
    ['no key in a store that is not there', ['nope', ''], 'Key is empty in sequencer store nope'],
    ['an unknown store', ['nope', 'k'], 'Sequencer store nope not found'],
    ['an increment that is none', ['ids', 'k', 2], 'options.Increment is illegal'],
    ['another that is none', ['runs', 'k', -1], 'options.Increment is illegal'],
  ] as const)('%s is INVALID_ARGUMENT', async (_, [store, key, increment], grpcMessage) => {
    const filter = await connected();
    expect(next(filter, key, store, increment).answer).toMatchObject({ grpcStatus: 3, grpcMessage });
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('without any sequencer', async () => {
    expect(next(await Filter.connected(), '').answer).toMatchObject({
      grpcStatus: 9,
      grpcMessage: 'Sequencer store is not configured',
    });
  });

  test.each(['0a05', 'ff', '1a0908ffffffff', '12ffffffffffffffffff01', '1a02ffff'])(
    'bytes that are no message: %s',
    async (bytes) => {
      const filter = await connected();
      expect(filter.grpc(PATH, Buffer.from(bytes, 'hex')).answer).toMatchObject({
        grpcStatus: 3,
        grpcMessage: 'the request message is not valid protobuf',
      });
    },
  );

  test.each(['ids', 'runs'])('what the bridge says of %s is passed on', async (store) => {
    const filter = await connected();
    const stream = next(filter, 'k', store);
    filter.bridge.failure(filter.bridge.lastRequest(), 11, 'its ids are used up');
    expect(stream.answer).toMatchObject({ grpcStatus: 11, grpcMessage: 'its ids are used up' });
  });
});

describe('ids out of runs', () => {
  test('are answered in order without a question', async () => {
    const filter = await connected();
    const first = next(filter);
    expect(asked(filter)).toEqual(['GetSegment']);
    expect(fromBinary(pb.GetSegmentRequestSchema, filter.bridge.lastRequest().frame.payload)).toMatchObject({
      storeName: 'runs',
      key: 'k',
    });
    give(filter, 101n, 200n);
    expect(idOf(first)).toBe(101n);
    for (let id = 102n; id <= 170n; id++) expect(idOf(next(filter))).toBe(id);
    expect(asked(filter)).toHaveLength(1);
  });

  test('the next run is asked for while there are some left, and follows the one at hand', async () => {
    const filter = await connected();
    next(filter);
    give(filter, 1n, 8n);
    for (let id = 2n; id <= 5n; id++) expect(idOf(next(filter))).toBe(id);
    expect(asked(filter)).toHaveLength(1);
    expect(idOf(next(filter))).toBe(6n);
    expect(asked(filter)).toEqual(['GetSegment', 'GetSegment']);
    give(filter, 101n, 108n);
    for (const id of [7n, 8n, 101n, 102n]) expect(idOf(next(filter))).toBe(id);
    expect(asked(filter)).toHaveLength(2);
  });

  test('while a run is under way and none is left, single ids are asked for', async () => {
    const filter = await connected();
    const first = next(filter);
    const others = [next(filter), next(filter)];
    expect(asked(filter)).toEqual(['GetSegment', 'GetNextId', 'GetNextId']);
    const [segment, one, two] = filter.bridge.requests();
    filter.bridge.result(one!, pb.GetNextIdResponseSchema, { nextId: '11' });
    filter.bridge.result(segment!, pb.GetSegmentResponseSchema, { from: 1n, to: 10n });
    filter.bridge.result(two!, pb.GetNextIdResponseSchema, { nextId: '12' });
    expect([first, ...others].map(idOf)).toEqual([1n, 11n, 12n]);
    expect(idOf(next(filter))).toBe(2n);
  });

  test('are of one key and one component each', async () => {
    const filter = await Filter.connected({ components: [RUNS, { ...RUNS, name: 'more' }] });
    for (const [key, store, from] of [
      ['a', 'runs', 1n],
      ['b', 'runs', 101n],
      ['a', 'more', 201n],
    ] as const) {
      next(filter, key, store);
      give(filter, from, from + 99n);
    }
    expect(idOf(next(filter, 'a', 'more'))).toBe(202n);
    expect(idOf(next(filter, 'b'))).toBe(102n);
    expect(idOf(next(filter, 'a'))).toBe(2n);
  });

  test('are asked for again when whoever asked is gone, or the bridge failed', async () => {
    const filter = await connected();
    next(filter).reset();
    expect(asked(filter)).toEqual(['GetSegment']);
    // The answer that nobody waits for is a gap.
    give(filter, 1n, 10n);
    const second = next(filter);
    expect(asked(filter)).toEqual(['GetSegment', 'GetSegment']);
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'away');
    expect(second.answer?.grpcStatus).toBe(14);
    const third = next(filter);
    give(filter, 11n, 14n);
    expect(idOf(third)).toBe(11n);
    for (const id of [12n, 13n]) expect(idOf(next(filter))).toBe(id);
    // One left: more were asked for, in vain, and are again.
    expect(asked(filter)).toHaveLength(4);
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'away');
    expect(idOf(next(filter))).toBe(14n);
    expect(asked(filter)).toHaveLength(5);
    give(filter, 21n, 24n);
    expect(idOf(next(filter))).toBe(21n);
  });

  test('go on while the bridge is away, as long as there are any', async () => {
    const filter = await connected();
    next(filter);
    give(filter, 1n, 4n);
    filter.bridge.close();
    for (const id of [2n, 3n, 4n]) expect(idOf(next(filter))).toBe(id);
    expect(next(filter).answer?.grpcStatus).toBe(14);
    filter.connect();
    const stream = next(filter);
    give(filter, 11n, 14n);
    expect(idOf(stream)).toBe(11n);
  });

  test('a run that was asked for and lost its session is asked for once more', async () => {
    const filter = await connected();
    const stream = next(filter);
    filter.bridge.close();
    filter.connect();
    give(filter, 11n, 20n);
    expect(idOf(stream)).toBe(11n);
    expect(idOf(next(filter))).toBe(12n);
  });

  test('up to the last id there is', async () => {
    const last = 2n ** 63n - 1n;
    const filter = await connected();
    const stream = next(filter);
    give(filter, last - 1n, last);
    expect(idOf(stream)).toBe(last - 1n);
    expect(idOf(next(filter))).toBe(last);
    filter.bridge.failure(filter.bridge.lastRequest(), 11, 'its ids are used up');
    const after = next(filter);
    filter.bridge.failure(filter.bridge.lastRequest(), 11, 'its ids are used up');
    expect(after.answer?.grpcStatus).toBe(11);
  });

  test.each([
    [0n, 0n],
    [5n, 4n],
    [-5n, 5n],
    [-(2n ** 63n), 2n ** 63n - 1n],
  ])('what is no run is not taken: %p to %p', async (from, to) => {
    const filter = await connected();
    const stream = next(filter);
    give(filter, from, to);
    expect(stream.answer?.grpcStatus).toBe(13);
    const again = next(filter);
    expect(asked(filter)).toEqual(['GetSegment', 'GetSegment']);
    give(filter, 1n, 4n);
    expect(idOf(again)).toBe(1n);
  });

  test('an answer that is no message is not taken', async () => {
    const filter = await connected();
    const stream = next(filter);
    const { stream: session, frame } = filter.bridge.lastRequest();
    filter.bridge.send(session, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from('0aff', 'hex') });
    expect(stream.answer?.grpcStatus).toBe(13);
  });

  test('of many keys take a bounded place, and no id comes twice', async () => {
    const filter = await connected();
    const given = new Map<string, bigint>();
    const seen = new Set<string>();
    const take = (key: string): void => {
      filter.bridge.forget();
      const stream = next(filter, key);
      if (stream.answer === undefined) {
        const from = given.get(key) ?? 1n;
        given.set(key, from + 100n);
        give(filter, from, from + 99n);
      }
      const id = `${key}: ${idOf(stream)}`;
      expect(seen).not.toContain(id);
      seen.add(id);
    };
    const grow = (from: number, to: number): void => {
      for (let key = from; key < to; key++) take(`${'x'.repeat(400)}${key}`);
    };
    // A machine's memory grows by doubling, so that there is room to spare at some point.
    grow(0, 6_000);
    const before = filter.host.memoryBytes;
    for (let round = 4; round < 10; round++) grow(1_500 * round, 1_500 * (round + 1));
    expect(filter.host.memoryBytes - before).toBeLessThan(512 * 1024);
    // Evicted ones begin another run.
    grow(0, 500);
    expect(given.get(`${'x'.repeat(400)}0`)).toBe(201n);
  });

  test('keys that are too long are asked for one by one', async () => {
    const filter = await connected();
    next(filter, 'k'.repeat(513));
    next(filter, 'k'.repeat(513));
    expect(asked(filter)).toEqual(['GetNextId', 'GetNextId']);
  });

  test('are counted', async () => {
    const filter = await connected();
    next(filter);
    next(filter);
    const [segment, single] = filter.bridge.requests();
    filter.bridge.result(single!, pb.GetNextIdResponseSchema, { nextId: '5' });
    filter.bridge.result(segment!, pb.GetSegmentResponseSchema, { from: 1n, to: 4n });
    for (let round = 0; round < 2; round++) next(filter);
    give(filter, 11n, 14n);
    filter.advance(1_000);
    expect(filter.host.metric('layotto_sequencer_weak_ids_total;source=envoy')).toBe(3);
    expect(filter.host.metric('layotto_sequencer_weak_ids_total;source=bridge')).toBe(1);
    expect(filter.host.metric('layotto_sequencer_segments_total')).toBe(2);
  });

  test('a configuration that says something else of them is refused', async () => {
    const components = [{ ...RUNS, segments: 'yes' as unknown as true }];
    await expect(Filter.connected({ components })).rejects.toThrow(/components\[\]\.segments/);
  });

  test('a call that asks for more while it is answered is answered on its own stream', async () => {
    const filter = await connected();
    next(filter);
    give(filter, 1n, 4n);
    next(filter);
    const stream = filter.host.openStream(filter.root);
    const other = filter.host.openStream(filter.root);
    other.callOnRequestHeaders(grpcHeaders(PATH), false);
    const { answer } = stream.request(grpcHeaders(PATH), grpcFrame(message('runs', 'k')));
    expect(answer?.grpcStatus).toBe(0);
    expect(other.answer).toBeUndefined();
    expect(filter.complaints).toEqual([]);
  });
});
