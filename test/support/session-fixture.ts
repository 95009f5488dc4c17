import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import type { Call } from '../../components-bridge/src/primitives/call.js';
import { Code, OperationError } from '../../components-bridge/src/primitives/errors.js';
import type { Handler, Service } from '../../components-bridge/src/primitives/handler.js';
import type { SessionServerOptions } from '../../components-bridge/src/server/session-options.js';
import { SessionServer } from '../../components-bridge/src/server/session.js';
import { SessionClient } from './session-client.js';
import type { SessionClientOptions } from './session-client.js';
import { sleep } from './wait.js';

export const MiB = 1024 * 1024;
export const LIMITS = { messageBytes: 4 * MiB, operations: 1_024, bytes: 64 * MiB };

/** Waits as if for a backend. */
async function askSlowly(call: Call): Promise<void> {
  call.ask(performance.now());
  await sleep(30);
  call.answered(performance.now());
}

/** A session server with a service made for tests, on a socket of its own, and clients that end with it. */
export class SessionFixture {
  /** Calls of the method `hold`, to be settled by the test. */
  held: { resolve: (result: Uint8Array) => void }[] = [];
  /** What the server logged. */
  logged: { level: number; msg: string; reason?: string }[] = [];
  /** What it told of open sessions. */
  open: number[] = [];
  socketPath = '';
  #server: SessionServer | undefined;
  #dir = '';
  readonly #clients: SessionClient[] = [];

  readonly #service: Service = {
    name: 'test.Service',
    handlers: new Map<string, Handler>([
      ['echo', async (payload) => payload],
      ['size', async (payload) => Buffer.from(String(payload.length))],
      ['make', async (payload) => Buffer.alloc(Number(Buffer.from(payload).toString()), 'x')],
      ['refuse', () => Promise.reject(new OperationError(Code.ABORTED, 'not now'))],
      ['break', () => Promise.reject(new TypeError('undefined is not a function'))],
      ['slow', (payload, call) => askSlowly(call).then(() => payload)],
      ['hold', () => new Promise((resolve) => this.held.push({ resolve }))],
    ]),
  };

  get server(): SessionServer {
    if (this.#server === undefined) throw new Error('the server was not started');
    return this.#server;
  }

  /** Before each test. */
  async begin(): Promise<void> {
    this.#dir = await mkdtemp(join(tmpdir(), 'session-'));
    this.socketPath = join(this.#dir, 'session.sock');
    this.held = [];
    this.logged = [];
    this.open = [];
  }

  /** After each test. */
  async end(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await this.#server?.close();
    this.#server = undefined;
    await rm(this.#dir, { recursive: true, force: true });
  }

  async start(more: Partial<SessionServerOptions> = {}, replace = false): Promise<void> {
    const server = new SessionServer({
      socketPath: this.socketPath,
      services: [this.#service],
      hello: { name: 'bridge', version: '1.2.3', configVersion: 'abc' },
      limits: LIMITS,
      log: pino({ level: 'trace' }, { write: (line) => void this.logged.push(JSON.parse(line) as never) }),
      onSessions: (count) => this.open.push(count),
      ...more,
    });
    await server.start(replace);
    this.#server = server;
  }

  session(options: SessionClientOptions = {}): SessionClient {
    const client = SessionClient.open(this.socketPath, options);
    this.#clients.push(client);
    return client;
  }
}
