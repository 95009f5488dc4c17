import { spawnSync } from 'node:child_process';
import { stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';

import { framed, SESSION_PATH } from '../../../test/support/session-client.js';
import { LIMITS, MiB, SessionFixture } from '../../../test/support/session-fixture.js';
import { eventually, sleep } from '../../../test/support/wait.js';
import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { Code } from '../primitives/errors.js';
import { SocketInUseError } from './socket.js';

describe('SessionServer, at its limits', () => {
  const bridge = new SessionFixture();

  beforeEach(() => bridge.begin());
  afterEach(() => bridge.end());

  describe('what is no frame', () => {
    beforeEach(() => bridge.start());

    const request = (id: bigint): Buffer => framed({ id, kind: Kind.REQUEST, method: 'hold' });

    it.each<[string, Buffer, RegExp]>([
      ['a compressed message', Buffer.from('010000000108', 'hex'), /compressed/],
      ['a message above the limit', Buffer.from('0000410006', 'hex'), /limit is 4259840/],
      ['a field beyond the end', Buffer.from('00000000027a05', 'hex'), /beyond the end/],
      ['an empty frame', Buffer.from('0000000000', 'hex'), /no kind/],
      ['a request without id', request(0n), /no id/],
      ['an id that is in use', Buffer.concat([request(1n), request(1n)]), /id 1 is in use/],
      ['a second hello', framed({ kind: Kind.HELLO }), /second HELLO/],
    ])('%s ends the stream, and only that one', async (_, bytes, reason) => {
      const bystander = bridge.session();
      await bystander.hello();
      const client = bridge.session();
      await client.hello();
      client.stream.write(bytes);
      const status = await client.ended();
      expect(status?.code).toBe(Code.INVALID_ARGUMENT);
      expect(status?.message).toMatch(reason);
      expect(bridge.logged.filter(({ msg }) => msg.startsWith('malformed frame'))[0]?.reason).toMatch(reason);
      bystander.request(1, 'echo');
      await bystander.result(1);
      await eventually('it is forgotten', () => bridge.server.open === 1);
    });

    it.each<[string, Buffer, RegExp]>([
      ['a request', request(1n), /first frame/],
      ['a hello that cannot be read', framed({ kind: Kind.HELLO, payload: Buffer.of(0xff) }), /HELLO/],
      ['a hello of another protocol', framed({ kind: Kind.HELLO, payload: Buffer.of(8, 2) }), /protocol 2/],
    ])('%s as the first frame ends the stream', async (_, bytes, reason) => {
      const client = bridge.session({ hello: null });
      client.stream.write(bytes);
      expect((await client.ended())?.message).toMatch(reason);
      expect(bridge.held).toHaveLength(0);
    });

    it('nothing after it is read', async () => {
      const client = bridge.session();
      await client.hello();
      client.stream.write(Buffer.concat([Buffer.from('0000000000', 'hex'), request(1n)]));
      await client.ended();
      client.stream.write(request(2n));
      await sleep(20);
      expect(bridge.held).toHaveLength(0);
    });
  });

  describe('bounds', () => {
    it('refuses more operations than the limit, and takes new ones when those have ended', async () => {
      await bridge.start({ limits: { ...LIMITS, operations: 3 } });
      const client = bridge.session();
      for (const id of [1, 2, 3, 4]) client.request(id, 'hold');
      expect(await client.failure(4)).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
      // Cancelled operations count until they have really ended.
      client.send({ id: 1n, kind: Kind.CANCEL });
      client.request(5, 'hold');
      expect(await client.failure(5)).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
      for (const { resolve } of bridge.held.splice(0)) resolve(Buffer.from('x'));
      await client.result(2);
      client.request(6, 'echo');
      await client.result(6);
    });

    it('refuses more bytes at work than the limit', async () => {
      await bridge.start({ limits: { ...LIMITS, bytes: MiB } });
      const client = bridge.session();
      client.request(1, 'hold', Buffer.alloc(600_000));
      client.request(2, 'hold', Buffer.alloc(600_000));
      expect(await client.failure(2)).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
      expect(client.of(Kind.ACK)).toHaveLength(2);
      bridge.held[0]?.resolve(Buffer.from('x'));
      await client.result(1);
      client.request(3, 'size', Buffer.alloc(600_000));
      await client.result(3);
    });

    it('stops reading from a filter that takes no answers, and keeps its memory bounded', async () => {
      await bridge.start({ limits: { ...LIMITS, bytes: 8 * MiB } });
      const pair = { pairId: 9n, window: 65_535 };
      const small = bridge.session(pair);
      const large = bridge.session({ ...pair, large: true });
      await Promise.all([small.hello(), large.hello()]);
      large.stream.pause();
      let at = 0;
      const ask = setInterval(() => {
        for (let count = 0; count < 20; count++) small.request(++at, 'make', Buffer.from(String(MiB)));
      }, 2);
      try {
        await eventually('thousands have been asked for', () => at > 3_000);
        expect(bridge.server.backlog).toBeLessThanOrEqual(8 * MiB + 64 * 1024);
        expect(bridge.server.backlog).toBeGreaterThan(MiB);
        // Most requests have not even been read: those that are get an answer, if only that it is too busy.
        expect(small.of(Kind.FAILURE).length).toBeLessThan(1_000);
      } finally {
        clearInterval(ask);
      }
      // It goes on once the filter takes what was made for it.
      large.stream.resume();
      const answered = (): number => small.of(Kind.FAILURE).length + large.of(Kind.RESULT).length;
      await eventually('every request is answered', () => answered() === at, { timeoutMs: 25_000 });
      expect(small.of(Kind.RESULT)).toEqual([]);
    });
  });

  describe('a peer that asks and does not take', () => {
    it('is read no further, also when all it asks for is a PONG', async () => {
      await bridge.start({ limits: { ...LIMITS, bytes: MiB } });
      const client = bridge.session({ window: 65_535 });
      await client.hello();
      client.stream.pause();
      const pings = Buffer.concat(
        Array.from({ length: 1_000 }, (_, id) => framed({ id: BigInt(id), kind: Kind.PING })),
      );
      for (let count = 0; count < 200; count++) client.stream.write(pings);
      await eventually('it is read no further', () => bridge.server.backlog > MiB / 4);
      await sleep(1_000);
      expect(bridge.server.backlog).toBeLessThan(MiB);
      client.stream.resume();
      await eventually('it goes on when they are taken', () => client.of(Kind.PONG).length === 200_000, {
        timeoutMs: 25_000,
      });
    });
  });

  describe('drain', () => {
    beforeEach(() => bridge.start());

    it('says GOAWAY, finishes what is at work, also what crosses it, and ends the streams', async () => {
      const client = bridge.session();
      client.request(1, 'hold');
      await eventually('it is at work', () => bridge.held.length === 1);
      const drained = bridge.server.drain(5_000);
      await client.frame(Kind.GOAWAY);
      client.request(2, 'echo', Buffer.from('crossed'));
      expect(Buffer.from(await client.result(2)).toString()).toBe('crossed');
      bridge.held[0]?.resolve(Buffer.from('done'));
      expect(Buffer.from(await client.result(1)).toString()).toBe('done');
      expect(await client.ended()).toEqual({ code: 0, message: '' });
      await drained;
      await expect(stat(bridge.socketPath)).rejects.toThrow('ENOENT');
    });

    it('waits no longer than its grace', async () => {
      const client = bridge.session();
      client.request(1, 'hold');
      await eventually('it is at work', () => bridge.held.length === 1);
      const started = performance.now();
      await bridge.server.drain(200);
      expect(performance.now() - started).toBeGreaterThanOrEqual(190);
      expect(performance.now() - started).toBeLessThan(3_000);
    });

    it('refuses new streams', async () => {
      const client = bridge.session();
      await client.hello();
      client.request(1, 'hold');
      await eventually('it is at work', () => bridge.held.length === 1);
      const drained = bridge.server.drain(5_000);
      await client.frame(Kind.GOAWAY);
      const answer = await new Promise<unknown>((resolve) => {
        try {
          const late = client.connection.request({
            ':method': 'POST',
            ':path': SESSION_PATH,
            'content-type': 'application/grpc',
          });
          late.on('response', (headers) => {
            resolve(headers['grpc-status']);
            late.close();
          });
          late.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
        } catch (error) {
          resolve((error as NodeJS.ErrnoException).code);
        }
      });
      // From Node 24 on the server says so on the connection too, and the client does not even ask.
      expect([String(Code.UNAVAILABLE), 'ERR_HTTP2_GOAWAY_SESSION']).toContain(answer);
      bridge.held[0]?.resolve(Buffer.alloc(0));
      await drained;
    });
  });

  describe('the socket', () => {
    async function answer(headers: Record<string, string>): Promise<IncomingHttpHeaders> {
      const connection = connect('http://localhost', {
        createConnection: () => createConnection(bridge.socketPath),
      });
      try {
        const stream = connection.request(headers);
        return await new Promise((resolve, reject) => {
          stream.on('response', resolve);
          stream.on('error', reject);
          stream.end();
        });
      } finally {
        connection.destroy();
      }
    }

    it('is for its owner only, or for a group too', async () => {
      await bridge.start();
      expect((await stat(bridge.socketPath)).mode & 0o777).toBe(0o600);
      await bridge.server.close();
      await bridge.start({ gid: process.getgid?.() });
      expect((await stat(bridge.socketPath)).mode & 0o777).toBe(0o660);
    });

    it('answers other paths as gRPC does, and what is not gRPC as HTTP does', async () => {
      await bridge.start();
      const grpc = { ':method': 'POST', 'content-type': 'application/grpc' };
      expect(await answer({ ...grpc, ':path': '/other.Service/Call' })).toMatchObject({
        ':status': 200,
        'grpc-status': String(Code.UNIMPLEMENTED),
      });
      expect(await answer({ ':method': 'GET', ':path': '/' })).toMatchObject({ ':status': 415 });
      // Its answer would be over with the headers, before there is a status to say.
      const head = { ...grpc, ':method': 'HEAD', ':path': SESSION_PATH };
      expect(await answer(head)).toMatchObject({ ':status': 405, allow: 'POST' });
      expect(bridge.server.open).toBe(0);
    });

    it('replaces a file that nobody answers on', async () => {
      await bridge.start();
      // A process that is killed leaves its socket behind.
      await bridge.server.close();
      const script =
        'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
      spawnSync(process.execPath, ['-e', script, bridge.socketPath]);
      expect((await stat(bridge.socketPath)).isSocket()).toBe(true);
      await bridge.start();
      await bridge.session().hello();
    });

    it('refuses to take over a live one, and leaves it be', async () => {
      await bridge.start();
      await expect(bridge.start()).rejects.toThrow(SocketInUseError);
      await expect(bridge.start()).rejects.toThrow(bridge.socketPath);
      await bridge.session().hello();
    });

    it('refuses to remove what is not a socket', async () => {
      await writeFile(bridge.socketPath, 'precious');
      await expect(bridge.start()).rejects.toThrow(`${bridge.socketPath} is not a socket`);
    });
  });
});
