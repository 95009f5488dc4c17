import { LIMITS, MiB, SessionFixture } from '../../../test/support/session-fixture.js';
import { framed } from '../../../test/support/session-client.js';
import { eventually } from '../../../test/support/wait.js';
import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { Code } from '../primitives/errors.js';
import type { Handler, Service } from '../primitives/handler.js';
import { AppShare, Turns } from './app-share.js';
import type { ShareLimits } from './app-share.js';

const OWN = { hello: { appId: 'orders' } };

describe('a session server of one app among several', () => {
  const bridge = new SessionFixture();
  let share: AppShare;

  beforeEach(() => bridge.begin());
  afterEach(() => bridge.end());

  async function start(limits: Partial<ShareLimits> = {}): Promise<void> {
    share = new AppShare('orders', { operations: 100, bytes: 8 * MiB, sessions: 16, ...limits }, new Turns());
    await bridge.start({ share });
  }

  it.each([
    ['another app', 'billing', '"billing"'],
    ['no app', '', '""'],
    ['a very long one', 'x'.repeat(1_000), `"${'x'.repeat(128)}"`],
  ])(
    'refuses a filter that says it serves %s, and serves the app that the socket is for',
    async (_, appId, said) => {
      await start();
      const stranger = bridge.session({ hello: { appId } });
      stranger.request(1, 'echo');
      const status = await stranger.ended();
      expect(status).toEqual({
        code: Code.PERMISSION_DENIED,
        message: `this socket is for the app orders, and the filter serves ${said}; give the filter that app's socket, or its configuration that app id`,
      });
      expect(stranger.of(Kind.RESULT)).toEqual([]);
      expect(share.refusals.get('identity')).toBe(1);
      expect(bridge.logged.map(({ msg }) => msg)).toContain('a session of another app is refused');
      const own = bridge.session(OWN);
      own.request(1, 'echo', Buffer.from('x'));
      expect(Buffer.from(await own.result(1)).toString()).toBe('x');
    },
  );

  it('counts operations of all filters together, also those that were left behind by filters that went', async () => {
    await start({ operations: 3 });
    const [first, second] = [bridge.session(OWN), bridge.session(OWN)];
    first.request(1, 'hold');
    first.request(2, 'hold');
    second.request(1, 'hold');
    await eventually('they are at work', () => bridge.held.length === 3);
    second.request(2, 'hold');
    expect(await second.failure(2)).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'too busy: the app orders has 3 operations and 0 bytes in hand on this node',
    });
    first.close();
    await eventually('it has gone', () => bridge.server.open === 1);
    second.request(3, 'hold');
    expect(await second.failure(3)).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    for (const { resolve } of bridge.held.splice(0)) resolve(Buffer.from('done'));
    await second.result(1);
    second.request(4, 'echo');
    await second.result(4);
    expect(share.refusals.get('operations')).toBe(2);
  });

  it('counts bytes of requests, of messages that have come in part, and of answers that were not taken', async () => {
    await start({ bytes: 4 * MiB });
    const [first, second] = [bridge.session(OWN), bridge.session(OWN)];
    first.request(1, 'hold', Buffer.alloc(3 * MiB));
    await eventually('it is at work', () => bridge.held.length === 1);
    second.request(1, 'hold', Buffer.alloc(2 * MiB));
    expect(await second.failure(1)).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });

    // Messages of 2 MiB of which only a part comes: whoever sends them is ended, and the app's other filters are not.
    const message = framed({
      id: 1n,
      kind: Kind.REQUEST,
      method: 'echo',
      payload: Buffer.alloc(2 * MiB - 100),
    });
    const slow = [bridge.session(OWN), bridge.session(OWN), bridge.session(OWN)];
    for (const client of slow) {
      await client.hello();
      client.stream.write(message.subarray(0, MiB));
    }
    await eventually('one is ended', () =>
      slow.some(({ status }) => status?.code === Code.RESOURCE_EXHAUSTED),
    );
    expect(slow.filter(({ closed }) => closed)).toHaveLength(1);
    expect(share.refusals.get('bytes')).toBe(2);
    for (const client of slow) client.close();
    await eventually('they have gone', () => bridge.server.open === 2);
    bridge.held[0]?.resolve(Buffer.from('done'));
    await first.result(1);
    second.request(2, 'size', Buffer.alloc(3 * MiB));
    expect(Buffer.from(await second.result(2)).toString()).toBe(String(3 * MiB));
    expect(share.operations).toBe(0);
    expect(share.bytes).toBe(0);
  });

  it('has so many sessions, and takes new ones when old ones have gone', async () => {
    await start({ sessions: 2 });
    const [first, second] = [bridge.session(OWN), bridge.session(OWN)];
    await Promise.all([first.hello(), second.hello()]);
    const third = bridge.session(OWN);
    const refused = await new Promise<Record<string, unknown>>((resolve) =>
      third.stream.once('response', (headers) => resolve(headers)),
    );
    expect(refused['grpc-status']).toBe(String(Code.RESOURCE_EXHAUSTED));
    expect(share.refusals.get('sessions')).toBe(1);
    first.close();
    await eventually('it has gone', () => bridge.server.open === 1);
    await bridge.session(OWN).hello();
  });
});

describe('apps that take turns', () => {
  const [greedy, modest] = [new SessionFixture(), new SessionFixture()];

  beforeEach(() => Promise.all([greedy.begin(), modest.begin()]));
  afterEach(() => Promise.all([greedy.end(), modest.end()]));

  it('one with thousands of calls does not hold up another, and each of them is answered', async () => {
    const limits = { operations: 5_000, bytes: 8 * MiB, sessions: 16 };
    // The turns of this one are told by the test.
    const busy = new AppShare('greedy', limits, { used: () => undefined } as never);
    let begun = 0;
    const count: Handler = async () => Buffer.from(String(++begun));
    const services: Service[] = [{ name: 'test.Service', handlers: new Map([['count', count]]) }];
    await greedy.start({ share: busy, services, limits: { ...LIMITS, operations: 5_000 } });
    await modest.start({ share: new AppShare('modest', limits, new Turns()) });
    const flood = greedy.session({ hello: { appId: 'greedy' } });
    const client = modest.session({ hello: { appId: 'modest' } });
    await Promise.all([flood.hello(), client.hello()]);
    const requests = Array.from({ length: 4_000 }, (_, index) =>
      framed({ id: BigInt(index + 1), kind: Kind.REQUEST, method: 'count' }),
    );
    flood.stream.write(Buffer.concat(requests));
    await eventually('its turn is used up', () => busy.exhausted);
    client.request(1, 'echo');
    await client.result(1);
    expect(begun).toBe(32);
    await eventually(
      'the flood is over',
      () => {
        busy.nextTurn();
        return begun === 4_000;
      },
      { everyMs: 1 },
    );
    await flood.result(4_000);
    expect(busy.operations).toBe(0);
    expect(flood.of(Kind.FAILURE)).toEqual([]);
  });

  it('a turn is 32 operations, what waits begins in its order, and filters are not read meanwhile', () => {
    const share = new AppShare('a', { operations: 1, bytes: 1, sessions: 1 }, {
      used: () => undefined,
    } as never);
    const [held, order]: [boolean[], number[]] = [[], []];
    share.join({ bytesInHand: 0, hold: (on) => held.push(on) });
    for (let index = 0; index < 70; index++) share.begin(() => order.push(index));
    expect(order).toHaveLength(32);
    expect(held).toEqual([true]);
    share.nextTurn();
    expect(order).toHaveLength(64);
    expect(held).toEqual([true]);
    share.nextTurn();
    expect(order).toEqual(Array.from({ length: 70 }, (_, index) => index));
    expect(held).toEqual([true, false]);
  });
});
