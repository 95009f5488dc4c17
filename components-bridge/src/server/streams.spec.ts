import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { lstat, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:http2';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually, sleep } from '../../../test/support/wait.js';
import { Policy } from '../policy/policy.js';
import type { PolicyConfig } from '../policy/types.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { MessageStream, StreamHandler } from '../primitives/stream.js';
import { Secrets } from '../telemetry/secrets.js';
import { CallWatch } from './calls.js';
import { SocketInUseError } from './socket.js';
import { StreamServer } from './streams.js';

const LIMIT = 64 * 1024;

type Call = ClientDuplexStream<Buffer, Buffer>;

describe('StreamServer', () => {
  let folder: string;
  let socketPath: string;
  let policy: Policy;
  const servers: StreamServer[] = [];
  const clients: Client[] = [];
  let lines: { msg?: string; code?: string; trace_id?: string }[];
  const secrets = new Secrets();
  secrets.add('hunter2-hunter2');

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'streams-'));
    socketPath = join(folder, 'streams.sock');
    lines = [];
    policy = new Policy({ components: [] });
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await rm(folder, { recursive: true, force: true });
  });

  async function serve(handler: StreamHandler, replace = false): Promise<StreamServer> {
    const log = pino(
      { level: 'trace' },
      { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
    );
    const admitted: StreamHandler = (stream) => {
      stream.admit({ primitive: 'file', operation: 'GetFile', component: 'files' });
      return handler(stream);
    };
    const server = new StreamServer({
      socketPath,
      services: [{ name: 'x', handlers: new Map(), streams: new Map([['/x.Y/Z', admitted]]) }],
      policy,
      appId: 'shop',
      limits: { messageBytes: 64 * 1024, streams: 3 },
      log,
      calls: new CallWatch({ log, secrets }),
    });
    servers.push(server);
    await server.start(replace);
    return server;
  }

  function call(path = '/x.Y/Z', metadata: Record<string, string> = {}): Call {
    const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    clients.push(client);
    const headers = new Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    const as = (bytes: Buffer): Buffer => bytes;
    return client.makeBidiStreamRequest(path, as, as, headers);
  }

  /** All that comes, and how it ends. */
  async function outcome(of: Call): Promise<{ messages: string[]; code: string; details: string }> {
    const messages: string[] = [];
    of.on('data', (message: Buffer) => messages.push(message.toString()));
    return new Promise((resolve) => {
      of.on('error', ({ code, details }: ServiceError) =>
        resolve({ messages, code: status[code] ?? '', details }),
      );
      of.on('end', () => resolve({ messages, code: 'OK', details: '' }));
    });
  }

  /** Gives back what comes. */
  async function echo(stream: MessageStream): Promise<void> {
    for (let message = await stream.read(); message !== undefined; message = await stream.read())
      await stream.send(message);
  }

  it('carries messages both ways, on a socket that only its owner can reach', async () => {
    const server = await serve(echo);
    expect((await lstat(socketPath)).mode & 0o777).toBe(0o600);
    const one = call();
    const got = outcome(one);
    for (const text of ['a', '', 'b'.repeat(LIMIT)]) one.write(Buffer.from(text));
    one.end();
    expect(await got).toEqual({ messages: ['a', '', 'b'.repeat(LIMIT)], code: 'OK', details: '' });
    expect([...server.ended]).toEqual([{ method: 'x.Y/Z', code: 0, count: 1 }]);
    expect(server.open).toBe(0);
  });

  it('tells a failure on the way with its words, but no secret and nothing of a bug beyond its text', async () => {
    let failure: unknown;
    await serve(async (stream) => {
      await stream.send(Buffer.from('first'));
      throw failure;
    });
    failure = new OperationError(Code.ABORTED, "50% is 'ä|[half]' of hunter2-hunter2 \ud800");
    expect(
      await outcome(call('/x.Y/Z', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })),
    ).toEqual({
      messages: ['first'],
      code: 'ABORTED',
      details: "50% is 'ä|[half]' of [redacted] \ufffd",
    });
    expect(lines.find(({ msg }) => msg === 'call failed')).toMatchObject({ trace_id: 'a'.repeat(32) });
    failure = new TypeError('x is not a function');
    expect(await outcome(call())).toMatchObject({ messages: ['first'], code: 'INTERNAL' });
    expect(lines.some(({ msg }) => msg === 'an operation failed in a way that is a bug')).toBe(true);
  });

  it('refuses what it does not serve, and messages that are too long, either way', async () => {
    await serve(async (stream) => {
      await stream.read();
      await stream.send(Buffer.alloc(LIMIT * 3));
    });
    expect((await outcome(call('/x.Y/Other'))).code).toBe('UNIMPLEMENTED');
    const long = call();
    const refused = outcome(long);
    long.write(Buffer.alloc(LIMIT * 3));
    expect((await refused).code).toBe('RESOURCE_EXHAUSTED');
    const answered = call();
    const failed = outcome(answered);
    answered.write(Buffer.from('x'));
    expect(await failed).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      details: expect.stringContaining('larger than limits.message') as string,
    });
  });

  it('reads and sends no more than is asked for', async () => {
    let read = 0;
    let sent = 0;
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    await serve(async (stream) => {
      await stream.read();
      read++;
      await gate;
      while ((await stream.read()) !== undefined) read++;
      for (; sent < 200; sent++) await stream.send(Buffer.alloc(LIMIT));
    });
    const one = call();
    let accepted = 0;
    for (let i = 0; i < 200; i++) one.write(Buffer.alloc(LIMIT), () => accepted++);
    await sleep(300);
    expect(read).toBe(1);
    expect(accepted).toBeLessThan(50);
    // This client takes whatever comes until it has begun to read.
    const first = new Promise((resolve) => one.once('data', resolve));
    go();
    one.end();
    await first;
    one.pause();
    expect(read).toBe(200);
    let last = -1;
    await eventually('nothing more is sent', async () => {
      const stands = sent === last;
      last = sent;
      await sleep(100);
      return stands;
    });
    expect(sent).toBeLessThan(150);
    const rest = outcome(one);
    one.resume();
    expect((await rest).messages).toHaveLength(199);
  });

  it('ends a handler that waits when its caller has gone', async () => {
    const ends: unknown[] = [];
    const server = await serve((stream) =>
      echo(stream).catch((error: unknown) => {
        ends.push(error);
        throw error;
      }),
    );
    const one = call();
    const over = outcome(one);
    one.write(Buffer.from('x'));
    await eventually('it is open', () => server.open === 1);
    one.cancel();
    expect((await over).code).toBe('CANCELLED');
    await eventually('it is told', () => ends.length === 1);
    expect(ends[0]).toMatchObject({ code: Code.CANCELLED });
    expect([...server.ended]).toEqual([{ method: 'x.Y/Z', code: Code.CANCELLED, count: 1 }]);
  });

  it('takes no reset for an end, also from a client that ends before it resets', async () => {
    let ended = 0;
    const failed: unknown[] = [];
    await serve(async (stream) => {
      while ((await stream.read()) !== undefined);
      ended++;
    });
    for (let i = 0; i < 5; i++) {
      const one = call();
      outcome(one).catch((error: unknown) => failed.push(error));
      for (let n = 0; n < 3; n++) one.write(Buffer.alloc(1_000));
      await sleep(30);
      one.cancel();
    }
    // By hand, with the code that older Envoys send.
    const raw = connect('http://localhost', { createConnection: () => createConnection(socketPath) });
    const stream = raw.request({ ':method': 'POST', ':path': '/x.Y/Z', 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.write(Buffer.from([0, 0, 0, 0, 1, 0x61]));
    await sleep(50);
    raw.destroy();
    await sleep(200);
    expect([ended, failed]).toEqual([0, []]);
  });

  it('lets streams finish when it drains, asks those that would not, and ends the rest', async () => {
    const server = await serve(async (stream) => {
      const first = String(await stream.read());
      if (first === 'lasts') {
        await new Promise((resolve) => stream.leaving.addEventListener('abort', resolve));
        throw new OperationError(Code.UNAVAILABLE, 'subscribe again');
      }
      if (first === 'never') await new Promise(() => undefined);
      await echo(stream);
    });
    const open = ['quick', 'lasts', 'never'].map((text) => {
      const one = call();
      one.write(Buffer.from(text));
      return { one, over: outcome(one) };
    });
    await eventually('all are open', () => server.open === 3);
    const drained = server.drain(400);
    expect(await open[1]?.over).toMatchObject({ code: 'UNAVAILABLE', details: 'subscribe again' });
    open[0]?.one.write(Buffer.from('still here'));
    open[0]?.one.end();
    expect(await open[0]?.over).toMatchObject({ code: 'OK', messages: ['still here'] });
    expect(await open[2]?.over).toMatchObject({
      code: 'UNAVAILABLE',
      details: 'the bridge is shutting down; call again',
    });
    await drained;
    await expect(lstat(socketPath)).rejects.toThrow('ENOENT');
    expect((await outcome(call())).code).toBe('UNAVAILABLE');
  });

  it('hands its socket over, and does not take that of another', async () => {
    const first = await serve(echo);
    const old = call();
    const over = outcome(old);
    old.write(Buffer.from('1'));
    await eventually('it is open', () => first.open === 1);
    await expect(serve(echo)).rejects.toThrow(SocketInUseError);
    const next = await serve(echo, true);
    const young = call();
    young.write(Buffer.from('2'));
    await eventually('the next one serves', () => next.open === 1);
    const drained = first.drain(2_000);
    old.end();
    expect(await over).toMatchObject({ code: 'OK', messages: ['1'] });
    await drained;
    expect((await lstat(socketPath)).isSocket()).toBe(true);
    young.end();
    expect(await outcome(young)).toMatchObject({ code: 'OK', messages: ['2'] });
  });

  describe('asks the policy', () => {
    const forApps = (...apps: string[]): PolicyConfig => ({
      default: 'deny',
      trustDomain: 'cluster.local',
      rules: [
        {
          name: 'files',
          effect: 'allow',
          apps,
          primitives: ['file'],
          operations: [],
          components: ['files'],
          secrets: [],
          topics: [],
        },
      ],
    });
    const denied = (who: string) => ({
      messages: [],
      code: 'PERMISSION_DENIED',
      details: `${who} may not call file GetFile of component "files": denied by the policy, by default`,
    });

    it('for the app beside the filter, or for whom the filter names', async () => {
      await serve(echo);
      const come = (said?: string) => {
        const stream = call('/x.Y/Z', said === undefined ? {} : { 'x-layotto-caller': said });
        stream.end();
        return outcome(stream);
      };
      policy.use({ policy: forApps('shop'), components: [] });
      expect(await come()).toMatchObject({ code: 'OK' });
      expect(await come('own:spiffe://a/b')).toMatchObject({ code: 'OK' });
      expect(await come('remote:spiffe://a/b')).toEqual(denied('caller "spiffe://a/b"'));
      expect(await come('remote:')).toEqual(denied('caller ""'));
      policy.use({ policy: forApps('spiffe://a/*'), components: [] });
      expect(await come()).toEqual(denied('app "shop"'));
      expect(await come('own:spiffe://a/b')).toMatchObject({ code: 'OK' });
      expect(await come('remote:spiffe://a/b')).toMatchObject({ code: 'OK' });
      expect(policy.denials.get('default')).toBe(3);
    });

    it('and ends what a new policy does not allow any more', async () => {
      await serve(echo);
      const open = call();
      const over = outcome(open);
      open.write(Buffer.from('1'));
      await new Promise((resolve) => open.once('data', resolve));
      policy.use({ policy: forApps('shop'), components: [] });
      open.write(Buffer.from('2'));
      await new Promise((resolve) => open.once('data', resolve));
      policy.use({ policy: forApps('cart'), components: [] });
      expect(await over).toEqual({ ...denied('app "shop"'), messages: ['1', '2'] });
    });

    it('before anything is answered', async () => {
      const log = pino({ level: 'silent' });
      const server = new StreamServer({
        socketPath,
        services: [{ name: 'x', handlers: new Map(), streams: new Map([['/x.Y/Z', echo]]) }],
        policy,
        appId: 'shop',
        limits: { messageBytes: LIMIT, streams: 3 },
        log,
        calls: new CallWatch({ log, secrets }),
      });
      servers.push(server);
      await server.start();
      const stream = call();
      stream.write(Buffer.from('1'));
      expect(await outcome(stream)).toMatchObject({ messages: [], code: 'INTERNAL' });
    });
  });
});
