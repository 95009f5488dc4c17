import { createServer as createHttp2Server } from 'node:http2';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HttpApp } from '../../../test/support/http-app.js';
import { AppChannel, AppError } from './app-channel.js';

const LIMIT = 1024;

/** The app beside a bridge that may have no Envoy between them. */
describe('an app that is called at its own port', () => {
  let dir: string;
  let app: HttpApp;
  const channels: AppChannel[] = [];
  const servers: Http2Server[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'app-channel-'));
    app = await HttpApp.open();
    await app.start();
  });

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    for (const server of servers.splice(0)) server.close();
    await app.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const socketPath = () => join(dir, 'deliveries.sock');

  function channel(direct = true, protocol: 'http' | 'grpc' = 'http', port = app.port): AppChannel {
    const made = new AppChannel({
      ...{ socketPath: socketPath(), direct, token: 'hush', messageBytes: LIMIT },
      app: { port, protocol },
    });
    channels.push(made);
    return made;
  }

  const body = Buffer.from('{"number":1}');
  const call = { path: '/orders?x=1', body, timeoutMs: 2_000 };

  async function failure(calling: Promise<unknown>): Promise<AppError> {
    const error: unknown = await calling.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof AppError)) throw new Error(`no AppError: ${String(error)}`);
    return error;
  }

  async function http2(at: string | number, answer: (stream: ServerHttp2Stream) => void): Promise<number> {
    const server = createHttp2Server().on('stream', answer);
    servers.push(server);
    await new Promise<void>((resolve) =>
      typeof at === 'number' ? server.listen(at, '127.0.0.1', resolve) : server.listen(at, resolve),
    );
    return typeof at === 'number' ? (server.address() as AddressInfo).port : 0;
  }

  it('gets what it would get from Envoy, and answers', async () => {
    app.answer = () => ({ status: 503, body: { status: 'RETRY' } });
    const headers = { 'content-type': 'application/json' };
    const answer = await channel().http({ ...call, headers, traceparent: '00-1' });
    expect([answer.status, answer.body.toString()]).toEqual([503, '{"status":"RETRY"}']);
    expect(app.calls).toMatchObject([
      {
        path: '/orders?x=1',
        body,
        headers: { 'dapr-api-token': 'hush', traceparent: '00-1', 'content-type': 'application/json' },
      },
    ]);
    expect(Object.keys(app.calls[0]?.headers ?? {}).filter((name) => name.startsWith('x-envoy'))).toEqual([]);
  });

  it('is not called so unless that was asked for', async () => {
    expect((await failure(channel(false).http(call))).kind).toBe('away');
    expect(app.calls).toEqual([]);
  });

  it('is called through Envoy as soon as that has a listener for it', async () => {
    const made = channel();
    await made.http(call);
    await http2(socketPath(), (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('from Envoy');
    });
    expect((await made.http(call)).body.toString()).toBe('from Envoy');
    expect(app.calls).toHaveLength(1);
  });

  it('is away if nobody listens', async () => {
    await app.stop();
    expect((await failure(channel().http(call))).kind).toBe('away');
  });

  it('may take no longer than it may', async () => {
    app.answer = () => new Promise(() => undefined);
    const late = await failure(channel().http({ ...call, timeoutMs: 50 }));
    expect([late.kind, late.message]).toEqual(['late', 'no answer within 50 ms']);
  });

  it('may not answer with more than a message, nor go away with it', async () => {
    app.answer = () => ({ body: 'x'.repeat(LIMIT + 64 * 1024) });
    expect((await failure(channel().http(call))).message).toMatch(/^an answer of more than \d+ bytes$/);
    app.answer = async () => {
      await app.stop();
      return {};
    };
    expect((await failure(channel().http(call))).kind).toBe('broken');
  });

  it('that nobody waits for any more is given up', async () => {
    app.answer = () => new Promise(() => undefined);
    const ending = new AbortController();
    const calling = failure(channel().http({ ...call, signal: ending.signal }));
    ending.abort();
    expect((await calling).message).toBe('the call was given up');
  });

  it('speaks gRPC if it does', async () => {
    const port = await http2(0, (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    const answer = await channel(true, 'grpc', port).grpc({ ...call, path: '/a.B/C' });
    expect(Buffer.from(answer).toString()).toBe('{"number":1}');
  });
});
