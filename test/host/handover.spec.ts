import { create, toBinary } from '@bufbuild/protobuf';

import { GetStateResponseSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { HelloSchema, Kind } from '../support/frames.js';
import { configuration, Filter } from './harness.js';

/** A value over 64 KiB: it goes on the large session. */
const LARGE = Buffer.alloc(100_000, 'x');

/** Says GOAWAY on these streams. */
function goaway({ bridge }: Filter, streams = bridge.open): void {
  for (const stream of streams) bridge.send(stream, { kind: Kind.GOAWAY });
}

/** Lets the filter dial until this many sessions are open. */
function dialled(filter: Filter, count: number): void {
  for (let waited = 0; waited < 5000 && filter.bridge.open.length < count; waited += 50) filter.advance(50);
  expect(filter.bridge.open).toHaveLength(count);
}

/** Tokens of the open sessions. */
function tokens({ bridge }: Filter): number[] {
  return bridge.open.map(({ token }) => token);
}

describe('a bridge that says GOAWAY once', () => {
  test('gets calls until both sessions to the next one are greeted', async () => {
    const filter = await Filter.connected();
    const { bridge } = filter;
    const [small, large] = bridge.open;
    goaway(filter);
    filter.getState('a');
    expect(bridge.lastRequest().stream).toBe(small);
    dialled(filter, 4);
    filter.saveState('b', LARGE);
    expect(bridge.frames(large as NonNullable<typeof large>).at(-1)?.kind).toBe(Kind.REQUEST);

    const [, , nextSmall, nextLarge] = bridge.open as [never, never, typeof small, typeof large];
    bridge.greet();
    const later = filter.getState('c');
    expect(bridge.lastRequest().stream).toBe(nextSmall);
    filter.saveState('d', LARGE);
    expect(bridge.lastRequest().stream).toBe(nextLarge);
    bridge.failure(bridge.requests().filter(({ stream }) => stream === nextSmall)[0] as never, 13, 'new');
    expect(later.answer).toMatchObject({ grpcStatus: 13 });
  });

  test('stays the one that is asked while only one session to the next is greeted', async () => {
    const filter = await Filter.connected();
    const { bridge } = filter;
    const [small] = bridge.open;
    goaway(filter);
    dialled(filter, 4);
    bridge.send(bridge.open[2] as never, { kind: Kind.HELLO });
    filter.getState('a');
    expect(bridge.lastRequest().stream).toBe(small);
  });

  test('is left when all its answers are in, the large session not before the small one', async () => {
    const filter = await Filter.connected();
    const { bridge } = filter;
    const [small, large] = tokens(filter);
    const call = filter.getState('k');
    const request = bridge.lastRequest();
    goaway(filter);
    dialled(filter, 4);
    bridge.greet();
    expect(tokens(filter)).toEqual(expect.arrayContaining([small, large]));
    // A large result travels on the large session, whichever asked.
    bridge.result({ ...request, stream: bridge.open[1] as never }, GetStateResponseSchema, {
      data: LARGE,
      etag: '1',
    });
    expect(call.answer?.grpcStatus).toBe(0);
    expect(tokens(filter)).toHaveLength(2);
    expect(tokens(filter)).not.toEqual(expect.arrayContaining([small]));
  });

  test('is dialled again like any other if it ends before the next one is there', async () => {
    const filter = await Filter.connected();
    goaway(filter);
    const read = filter.getState('k');
    filter.bridge.close();
    expect(filter.saveState('k', Buffer.from('v')).answer).toMatchObject({ grpcStatus: 14 });
    filter.connect();
    for (let waited = 0; waited < 2000; waited += 50) {
      filter.advance(50);
      filter.bridge.greet();
    }
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, { etag: '1' });
    expect(read.answer?.grpcStatus).toBe(0);
    expect(tokens(filter)).toHaveLength(2);
  });

  test('is told from the next one, which may say GOAWAY too before it was used', async () => {
    const filter = await Filter.connected();
    const { bridge } = filter;
    const [small] = bridge.open;
    goaway(filter);
    dialled(filter, 4);
    const next = bridge.open[2] as NonNullable<typeof small>;
    const payload = toBinary(HelloSchema, create(HelloSchema, { protocol: 1 }));
    bridge.send(next, { kind: Kind.HELLO, payload });
    goaway(filter, [next]);
    expect(tokens(filter)).not.toContain(next.token);
    filter.getState('a');
    expect(bridge.lastRequest().stream).toBe(small);
    dialled(filter, 4);
    bridge.greet();
    filter.getState('b');
    expect(bridge.lastRequest().stream).not.toBe(small);
    expect(bridge.open).toContain(bridge.lastRequest().stream);
  });
});

test('a bridge that says GOAWAY twice gets nothing new, and its answers still come', async () => {
  const filter = await Filter.connected();
  const { bridge } = filter;
  const [small] = bridge.open;
  const call = filter.getState('before');
  const request = bridge.lastRequest();
  goaway(filter);
  goaway(filter);
  expect(filter.saveState('k', Buffer.from('v')).answer).toMatchObject({ grpcStatus: 14 });
  bridge.failure(request, 13, 'late but here');
  expect(call.answer).toMatchObject({ grpcStatus: 13 });
  expect(tokens(filter)).not.toContain(small?.token);
  filter.connect();
  filter.getState('after');
  expect(bridge.requests()).toHaveLength(1);
});

test('reads whose result was on its way when a large session broke are asked again', async () => {
  const filter = await Filter.connected();
  const { bridge, host } = filter;
  const read = filter.getState('k');
  filter.saveState('w', Buffer.from('v'));
  goaway(filter);
  dialled(filter, 4);
  bridge.greet();
  // Both were sent to the first bridge, of which now only the large session breaks.
  host.callOnGrpcClose(bridge.open[1]?.token ?? 0, 14);
  filter.advance(500);
  const again = bridge.lastRequest();
  bridge.result(again, GetStateResponseSchema, { etag: '7' });
  expect(read.answer?.grpcStatus).toBe(0);
  const methods = bridge.requests().map(({ frame }) => frame.method.split('/')[1]);
  expect(methods.filter((method) => method === 'SaveState')).toHaveLength(1);
});

describe('a filter that was just configured', () => {
  test('lets calls wait for its first sessions, writes too', async () => {
    const filter = await Filter.configured();
    const calls = [filter.getState('a'), filter.saveState('b', LARGE), filter.saveState('c', LARGE)];
    calls[1]?.reset();
    expect(calls.map(({ answer }) => answer)).toEqual([undefined, undefined, undefined]);
    filter.connect();
    expect(filter.bridge.requests()).toHaveLength(2);
    for (const request of filter.bridge.requests()) filter.bridge.failure(request, 13, 'asked');
    expect([calls[0], calls[2]].map((call) => call?.answer?.grpcMessage)).toEqual(
      Array.from({ length: 2 }, () => expect.stringContaining('asked') as string),
    );
    filter.bridge.close();
    expect(filter.getState('d').answer).toMatchObject({ grpcStatus: 14 });
  });

  test('does so for a second, then refuses', async () => {
    const filter = await Filter.configured();
    const early = filter.saveState('a', LARGE);
    filter.advance(900);
    expect(early.answer).toBeUndefined();
    filter.advance(200);
    expect(early.answer?.grpcStatus).toBe(14);
    expect(early.answer?.grpcMessage).toMatch(/not connected/);
    expect(filter.getState('b').answer).toMatchObject({ grpcStatus: 14 });
    filter.connect();
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('lets no more wait than its limits allow', async () => {
    const limits = { ...configuration().limits, operations: 2 };
    const filter = await Filter.configured({ limits });
    const calls = Array.from({ length: 3 }, () => filter.getState('k'));
    expect(calls.map(({ answer }) => answer?.grpcStatus)).toEqual([undefined, undefined, 8]);
  });
});
