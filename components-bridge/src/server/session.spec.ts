import { randomBytes } from 'node:crypto';

import { framed } from '../../../test/support/session-client.js';
import { MiB, SessionFixture } from '../../../test/support/session-fixture.js';
import { eventually, sleep } from '../../../test/support/wait.js';
import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { Code } from '../primitives/errors.js';

describe('SessionServer', () => {
  const bridge = new SessionFixture();

  beforeEach(() => bridge.begin());
  afterEach(() => bridge.end());

  describe('a session', () => {
    beforeEach(() => bridge.start());

    it('begins with the hello of each side', async () => {
      const hello = await bridge.session().hello();
      expect(hello).toMatchObject({
        protocol: 1,
        name: 'bridge',
        version: '1.2.3',
        configVersion: 'abc',
        services: ['test.Service'],
      });
    });

    it('answers requests by their ids', async () => {
      const client = bridge.session();
      for (const id of [1, 2, 7, 1_000_000]) client.request(id, 'echo', Buffer.from(`call ${id}`));
      for (const id of [1, 2, 7, 1_000_000]) {
        expect(Buffer.from(await client.result(id)).toString()).toBe(`call ${id}`);
      }
      expect(client.of(Kind.ACK)).toEqual([]);
    });

    it('says of every answer how long it took, and how long the backend did', async () => {
      const client = bridge.session();
      await client.hello();
      const begun = performance.now();
      client.request(1, 'slow');
      client.request(2, 'hold');
      client.request(3, 'refuse');
      client.request(4, 'hold', undefined, 30);
      await sleep(20);
      bridge.held[0]?.resolve(Buffer.from('done'));
      const slow = await client.frame(Kind.RESULT, 1);
      const most = Math.ceil((performance.now() - begun) * 1_000);
      // Of a pause of 30 ms, timers may take a little off.
      expect(slow.backendUs).toBeGreaterThan(25_000);
      expect(slow.bridgeUs).toBeGreaterThanOrEqual(slow.backendUs);
      expect(slow.bridgeUs).toBeLessThanOrEqual(most);
      const held = await client.frame(Kind.RESULT, 2);
      expect(held.bridgeUs).toBeGreaterThan(10_000);
      expect(held.backendUs).toBe(0);
      expect((await client.frame(Kind.FAILURE, 3)).bridgeUs).toBeLessThan(most);
      expect((await client.frame(Kind.FAILURE, 4)).bridgeUs).toBeGreaterThanOrEqual(30_000);
    });

    it('answers with an empty result', async () => {
      const client = bridge.session();
      client.request(1, 'echo');
      expect(await client.result(1)).toHaveLength(0);
    });

    it('reads frames split at every byte', async () => {
      const client = bridge.session();
      await client.hello();
      const bytes = Buffer.concat([
        framed({ id: 1n, kind: Kind.REQUEST, method: 'echo', payload: Buffer.from('first') }),
        framed({ id: 2n, kind: Kind.PING }),
        framed({ id: 3n, kind: Kind.REQUEST, method: 'echo', payload: Buffer.from('second') }),
      ]);
      for (const byte of bytes) {
        client.stream.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      expect(Buffer.from(await client.result(1)).toString()).toBe('first');
      await client.frame(Kind.PONG, 2);
      expect(Buffer.from(await client.result(3)).toString()).toBe('second');
    });

    it('carries 4 MiB both ways, and acknowledges what it took in', async () => {
      const client = bridge.session();
      const payload = randomBytes(4 * MiB);
      client.request(1, 'echo', payload);
      const result = await client.result(1);
      expect(payload.equals(result)).toBe(true);
      const kinds = client.frames.filter(({ id }) => id === 1n).map(({ kind }) => kind);
      expect(kinds).toEqual([Kind.ACK, Kind.RESULT]);
    });

    it('acknowledges above 64 KiB only', async () => {
      const client = bridge.session();
      client.request(1, 'size', Buffer.alloc(65_536));
      client.request(2, 'size', Buffer.alloc(65_537));
      await client.result(1);
      await client.result(2);
      expect(client.of(Kind.ACK).map(({ id }) => id)).toEqual([2n]);
    });

    it('says why an operation failed', async () => {
      const client = bridge.session();
      client.request(1, 'refuse');
      client.request(2, 'break');
      client.request(3, 'Nope/Nothing');
      expect(await client.failure(1)).toMatchObject({ code: Code.ABORTED, message: 'not now' });
      expect(await client.failure(2)).toMatchObject({ code: Code.INTERNAL });
      expect(await client.failure(3)).toMatchObject({
        code: Code.UNIMPLEMENTED,
        message: 'unknown method "Nope/Nothing"',
      });
      // A failure that is not an OperationError is a bug, and must show.
      expect(bridge.logged.filter(({ level }) => level >= 50)).toHaveLength(1);
    });

    it('refuses an answer that is larger than a message may be', async () => {
      const client = bridge.session();
      client.request(1, 'make', Buffer.from(String(5 * MiB)));
      const { code, message } = await client.failure(1);
      expect(code).toBe(Code.RESOURCE_EXHAUSTED);
      expect(message).toContain(String(5 * MiB));
    });

    it('answers an operation that was cancelled once, and drops its result', async () => {
      const client = bridge.session();
      client.request(1, 'hold');
      await eventually('the call is at work', () => bridge.held.length === 1);
      client.send({ id: 1n, kind: Kind.CANCEL });
      client.send({ id: 2n, kind: Kind.CANCEL });
      client.request(3, 'echo');
      await client.result(3);
      bridge.held[0]?.resolve(Buffer.from('late'));
      client.request(4, 'echo');
      await client.result(4);
      expect(client.frames.filter(({ id }) => id === 1n)).toMatchObject([{ kind: Kind.FAILURE }]);
      expect(await client.failure(1)).toMatchObject({ code: Code.CANCELLED });
      expect(client.frames.filter(({ id }) => id === 2n)).toEqual([]);
    });

    it('answers when the deadline has passed, and drops the late result', async () => {
      const client = bridge.session();
      const started = performance.now();
      client.request(1, 'hold', undefined, 100);
      client.request(2, 'hold', undefined, 60_000);
      expect(await client.failure(1)).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
      expect(performance.now() - started).toBeGreaterThanOrEqual(99);
      for (const { resolve } of bridge.held) resolve(Buffer.from('x'));
      await client.result(2);
      expect(client.of(Kind.RESULT, 1)).toEqual([]);
      expect(client.of(Kind.FAILURE)).toHaveLength(1);
    });

    it('answers a ping with a pong of the same id', async () => {
      const client = bridge.session();
      client.send({ id: 42n, kind: Kind.PING });
      await client.frame(Kind.PONG, 42);
    });

    it('ignores kinds of later versions', async () => {
      const client = bridge.session();
      client.send({ id: 1n, kind: 99 as Kind });
      client.send({ id: 1n, kind: Kind.PONG });
      client.request(2, 'echo');
      await client.result(2);
    });

    it('writes the results of one turn at once', async () => {
      const client = bridge.session();
      await client.hello();
      const chunks: number[] = [];
      client.stream.on('data', (chunk: Buffer) => chunks.push(chunk.length));
      const requests = Array.from({ length: 50 }, (_, index) =>
        framed({ id: BigInt(index + 1), kind: Kind.REQUEST, method: 'echo', payload: Buffer.from('x') }),
      );
      client.stream.write(Buffer.concat(requests));
      await client.result(50);
      expect(chunks.length).toBeLessThanOrEqual(3);
    });

    it('ends when the filter ends it, after what it sent', async () => {
      const client = bridge.session();
      client.request(1, 'echo', Buffer.from('last'));
      client.stream.end();
      await client.result(1);
      expect(await client.ended()).toEqual({ code: 0, message: '' });
      await eventually('it is forgotten', () => bridge.server.open === 0);
    });

    it('may be reset at any time', async () => {
      const client = bridge.session();
      client.request(1, 'hold');
      await eventually('the call is at work', () => bridge.held.length === 1);
      client.connection.destroy();
      await eventually('it is forgotten', () => bridge.server.open === 0);
      bridge.held[0]?.resolve(Buffer.from('for nobody'));
      const next = bridge.session();
      next.request(1, 'echo');
      await next.result(1);
      expect(bridge.logged.filter(({ level }) => level >= 40)).toEqual([]);
      expect(bridge.open).toEqual([1, 0, 1]);
    });
  });

  describe('a pair', () => {
    beforeEach(() => bridge.start());

    const big = (id: number): [number, string, Buffer] => [id, 'make', Buffer.from(String(100_000))];

    it('gets large results on the large stream, whichever asked', async () => {
      const small = bridge.session({ pairId: 5n });
      const large = bridge.session({ pairId: 5n, large: true });
      await large.hello();
      await eventually('both are open', () => bridge.server.open === 2);
      small.request(...big(1));
      large.request(...big(2));
      small.request(3, 'make', Buffer.from('65536'));
      large.request(4, 'make', Buffer.from('65536'));
      await large.result(1);
      await large.result(2);
      await small.result(3);
      await large.result(4);
      expect(small.of(Kind.RESULT).map(({ id }) => id)).toEqual([3n]);
    });

    it('uses the asking stream while the large one is not there', async () => {
      const small = bridge.session({ pairId: 5n });
      small.request(...big(1));
      await small.result(1);
      const large = bridge.session({ pairId: 5n, large: true });
      await large.hello();
      large.request(1, 'echo');
      await large.result(1);
      small.request(...big(2));
      await large.result(2);
      large.close();
      await eventually('the large one is gone', () => bridge.server.open === 1);
      small.request(...big(3));
      await small.result(3);
    });

    it('is not mixed with others', async () => {
      const one = bridge.session({ pairId: 5n });
      const other = bridge.session({ pairId: 6n, large: true });
      const alone = bridge.session({ large: true });
      other.request(1, 'hold');
      alone.request(1, 'hold');
      await eventually('both hold', () => bridge.held.length === 2);
      one.request(...big(1));
      await one.result(1);
      expect(other.of(Kind.RESULT)).toEqual([]);
      expect(alone.of(Kind.RESULT)).toEqual([]);
    });

    it('can be cancelled on either stream', async () => {
      const small = bridge.session({ pairId: 5n });
      const large = bridge.session({ pairId: 5n, large: true });
      small.request(1, 'hold');
      await eventually('it holds', () => bridge.held.length === 1);
      large.send({ id: 1n, kind: Kind.CANCEL });
      large.request(2, 'echo');
      await large.result(2);
      bridge.held[0]?.resolve(Buffer.from('x'));
      small.request(3, 'echo');
      await small.result(3);
      expect(small.of(Kind.RESULT, 1)).toEqual([]);
    });

    it('replaces a stream that the filter opened again', async () => {
      const small = bridge.session({ pairId: 5n });
      const first = bridge.session({ pairId: 5n, large: true });
      await first.hello();
      await eventually('both are open', () => bridge.server.open === 2);
      const second = bridge.session({ pairId: 5n, large: true });
      second.request(9, 'echo');
      await second.result(9);
      first.close();
      await eventually('the first is gone', () => bridge.server.open === 2);
      small.request(...big(1));
      await second.result(1);
    });
  });
});
