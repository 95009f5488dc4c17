import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { ClientHttp2Session, Http2Server } from 'node:http2';
import { connect as dial } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { pino } from 'pino';

import { FrameType, h2Frame, PREFACE } from '../../../test/support/h2/frames.js';
import { encodeHeaders } from '../../../test/support/h2/hpack.js';
import { eventually, sleep } from '../../../test/support/wait.js';
import { Connections } from './connections.js';

describe('connections', () => {
  let server: Http2Server;
  let connections: Connections;
  let port: number;

  beforeEach(async () => {
    connections = new Connections(pino({ enabled: false }), 50, 100);
    server = createServer();
    server.on('session', (session) => connections.add(session));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
    connections.stop();
  });

  async function client(): Promise<ClientHttp2Session> {
    const session = connect(`http://127.0.0.1:${port}`);
    await once(session, 'connect');
    return session;
  }

  /** A connection of which nobody answers anything. */
  async function silent(...bytes: Buffer[]): Promise<Socket> {
    const socket = dial(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([PREFACE, h2Frame(FrameType.SETTINGS, 0, 0), ...bytes]));
    return socket;
  }

  const held = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, count) => resolve(count)));

  test('stay while their peer answers, however long they are idle', async () => {
    const session = await client();
    await sleep(500);
    expect([connections.size, session.destroyed]).toEqual([1, false]);
    session.destroy();
    await eventually('it is gone', () => connections.size === 0);
  });

  test('are ended when nothing comes back, with what is open there', async () => {
    const ended = new Promise((resolve) => server.on('stream', (stream) => stream.on('close', resolve)));
    const head = encodeHeaders([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':authority', 'localhost'],
      [':path', '/'],
    ]);
    const socket = await silent(h2Frame(FrameType.HEADERS, 4, 1, head));
    await eventually('it is there', () => connections.size === 1);
    await once(socket.resume(), 'close');
    await ended;
    expect(connections.size).toBe(0);
  });

  test.each([
    ['a reset of 3 bytes', h2Frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(3))],
    ['data on no stream', h2Frame(FrameType.DATA, 0, 0, Buffer.alloc(4))],
    ['a header block that is none', h2Frame(FrameType.HEADERS, 4, 1, Buffer.alloc(40, 0xff))],
  ])('do not outlive a peer that broke the rules and went away: %s', async (_, frame) => {
    const socket = await silent(frame);
    await once(socket, 'data');
    await sleep(20);
    socket.destroy();
    await eventually('it is gone', async () => connections.size === 0 && (await held()) === 0);
  });

  test('ask without end, with no more listeners each time', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const session = await client();
    await sleep(50 * 15);
    process.off('warning', warned);
    expect(warnings).toEqual([]);
    session.destroy();
  });
});
