import { createServer as createHttpServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import type { PolicyConfig, PolicyLimit, PolicyRule } from '../../components-bridge/src/policy/types.js';
import { http1 } from '../support/http1.js';
import type { HttpAnswer } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const MIB = 1024 * 1024;
const none = { apps: [], primitives: [], operations: [], components: [] };

function deny(name: string, more: Partial<PolicyRule>): PolicyRule {
  return { name, effect: 'deny', ...none, secrets: [], topics: [], ...more };
}

function limit(name: string, more: Partial<PolicyLimit>): PolicyLimit {
  return { name, ...none, per: [], ...more };
}

/** A server that says what it got, and streams where it is asked to. */
class Callee {
  /** Requests whose heads have come. */
  calls = 0;
  /** Called for each piece of a streamed answer that is wanted. */
  next: (text: string | undefined) => void = () => undefined;
  /** Bytes of bodies that have come. */
  received = 0;

  private constructor(readonly server: Server) {}

  static async start(): Promise<Callee> {
    const server = createHttpServer();
    const callee = new Callee(server);
    server.on('request', (incoming, answer) => callee.#answer(incoming, answer));
    server.on('upgrade', (_request, socket: Socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return callee;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #answer(incoming: IncomingMessage, answer: ServerResponse): void {
    this.calls++;
    const { method = '', url = '', headers } = incoming;
    incoming.on('data', (chunk: Buffer) => (this.received += chunk.length));
    if (url.startsWith('/events')) {
      answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      this.next = (text) => (text === undefined ? answer.end() : answer.write(`data: ${text}\n\n`));
      return;
    }
    if (url.startsWith('/status/')) {
      answer.writeHead(Number(url.slice(8))).end();
      return;
    }
    if (url === '/echo') {
      answer.writeHead(200, { trailer: 'x-sum' });
      incoming.pipe(answer, { end: false });
      incoming.on('end', () => {
        answer.addTrailers({ 'x-sum': 'all' });
        answer.end();
      });
      return;
    }
    incoming.on('end', () => answer.end(JSON.stringify({ method, url, headers })));
  }
}

/** A call by way of the proxy, with the whole address in its request line as `http_proxy` has it. */
function proxied(port: number, method: string, url: string, body?: Uint8Array): Promise<HttpAnswer> {
  const { host } = new URL(url);
  return http1({ port }, method, url, { headers: { host }, ...(body === undefined ? {} : { body }) });
}

describe('plain calls', () => {
  let callee: Callee;
  let runtime: Runtime;
  let port: number;
  let away: number;

  beforeAll(async () => {
    callee = await Callee.start();
    away = await freePort();
    const policy: PolicyConfig = {
      default: 'allow',
      trustDomain: 'cluster.local',
      rules: [
        deny('no-deletes', { primitives: ['http'], operations: ['DELETE'], components: ['inventory'] }),
        deny('not-there', { primitives: ['http'], components: ['forbidden'] }),
      ],
      limits: [limit('few-puts', { primitives: ['http'], operations: ['PUT'], perHour: 60, burst: 2 })],
    };
    const here = { to: [{ host: '127.0.0.1', port: callee.port }] };
    runtime = await Runtime.start({
      concurrency: 2,
      metrics: true,
      policy,
      callees: {
        inventory: here,
        forbidden: here,
        away: { to: [{ host: '127.0.0.1', port: away }] },
      },
    });
    port = runtime.config.listen.proxy?.port ?? 0;
  });

  afterAll(async () => {
    await runtime?.stop();
    await callee?.stop();
  });

  /** Counts of plain calls, by operation, callee and code. */
  async function counts(): Promise<Record<string, number>> {
    const { body } = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
    const found: Record<string, number> = {};
    for (const [, labels = '', value] of body.matchAll(/^layotto_operations_total\{(.*)\} (\d+)$/gm)) {
      const of = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
      if (of('door') !== 'outbound') continue;
      expect(of('primitive')).toBe('http');
      found[`${of('operation')} ${of('component')} ${of('code')}`] = Number(value);
    }
    return found;
  }

  /** Runs something, and waits until exactly this much more has been counted. */
  async function counting(run: () => Promise<void>, more: Record<string, number>): Promise<void> {
    const before = await counts();
    await run();
    await eventually('it is counted', async () => {
      const now = await counts();
      const added = Object.entries(now)
        .map(([key, value]) => [key, value - (before[key] ?? 0)] as const)
        .filter(([, value]) => value !== 0);
      expect(Object.fromEntries(added)).toEqual(more);
      return true;
    });
  }

  test('pass as they are, and each is counted once, whoever is called', async () => {
    await counting(
      async () => {
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            http1({ port }, i % 2 === 0 ? 'GET' : 'POST', `/a%2Fb?q=${i}`, {
              headers: { host: 'inventory' },
            }),
          ),
        );
        for (const { status, body } of answers) {
          expect(status).toBe(200);
          const { url, headers } = JSON.parse(body) as { url: string; headers: Record<string, string> };
          expect(url).toMatch(/^\/a%2Fb\?q=/);
          expect(Object.keys(headers).sort()).toEqual(
            expect.not.arrayContaining(['x-request-id', 'x-forwarded-for', 'x-envoy-expected-rq-timeout-ms']),
          );
          expect(headers['host']).toBe('inventory');
        }
        expect((await proxied(port, 'GET', 'http://inventory/x')).status).toBe(200);
        expect((await proxied(port, 'GET', `http://127.0.0.1:${callee.port}/x`)).status).toBe(200);
        expect((await proxied(port, 'GET', 'http://inventory/status/404')).status).toBe(404);
        // A status that means nothing gets no label of its own.
        expect((await proxied(port, 'GET', 'http://inventory/status/299')).status).toBe(299);
        expect((await proxied(port, 'PROPFIND', 'http://inventory/x')).status).toBe(200);
        expect((await proxied(port, 'GET', 'http://away/x')).status).toBe(503);
      },
      {
        'GET inventory 200': 21,
        'POST inventory 200': 20,
        'GET other 200': 1,
        'GET inventory 404': 1,
        'GET inventory other': 1,
        'other inventory 200': 1,
        'GET away 503': 1,
      },
    );
  });

  test('carry bodies both ways with nothing held back, and trailers', async () => {
    const piece = Buffer.alloc(MIB, 0x61);
    const before = callee.received;
    await counting(
      async () => {
        const call = request({
          host: '127.0.0.1',
          port,
          method: 'POST',
          path: '/echo',
          headers: { host: 'inventory', 'transfer-encoding': 'chunked' },
        });
        const response = new Promise<IncomingMessage>((resolve, reject) => {
          call.once('response', resolve);
          call.once('error', reject);
        });
        call.setHeader('te', 'trailers');
        call.write(piece);
        const answer = await response;
        let got = 0;
        answer.on('data', (chunk: Buffer) => (got += chunk.length));
        // The first half is at the callee, and back, before the second is sent.
        await eventually('the first half is back', () => got === MIB);
        expect(callee.received - before).toBe(MIB);
        call.end(piece);
        await new Promise((resolve) => answer.once('end', resolve));
        expect(got).toBe(2 * MIB);
        expect(answer.trailers).toEqual({ 'x-sum': 'all' });
      },
      { 'POST inventory 200': 1 },
    );
  });

  test('may be streams that come as they are sent, and upgrades', async () => {
    await counting(
      async () => {
        const events: string[] = [];
        const call = request({ host: '127.0.0.1', port, path: '/events', headers: { host: 'inventory' } });
        call.end();
        const answer = await new Promise<IncomingMessage>((resolve) => call.once('response', resolve));
        answer.setEncoding('utf8').on('data', (text: string) => events.push(text));
        for (const text of ['one', 'two', 'three']) {
          callee.next(text);
          await eventually('the event is here', () => events.at(-1) === `data: ${text}\n\n`);
        }
        callee.next(undefined);
        await new Promise((resolve) => answer.once('end', resolve));

        const upgrade = request({
          host: '127.0.0.1',
          port,
          path: '/socket',
          headers: { host: 'inventory', connection: 'Upgrade', upgrade: 'websocket' },
        });
        upgrade.end();
        const socket = await new Promise<Socket>((resolve, reject) => {
          upgrade.once('upgrade', (_answer, opened: Socket) => resolve(opened));
          upgrade.once('response', ({ statusCode }) => reject(new Error(`answered with ${statusCode}`)));
          upgrade.once('error', reject);
        });
        socket.write('hello');
        expect(String(await new Promise<Buffer>((resolve) => socket.once('data', resolve)))).toBe('hello');
        socket.destroy();
      },
      { 'GET inventory 200': 1, 'GET inventory 101': 1 },
    );
  });

  test('obey the rules: a denied one does not reach its callee', async () => {
    const before = callee.calls;
    await counting(
      async () => {
        const answer = await proxied(port, 'DELETE', 'http://inventory/x');
        expect(answer).toMatchObject({
          status: 403,
          body: 'app "app" may not call http DELETE of component "inventory": denied by the policy, rule "no-deletes"',
        });
        expect(answer.headers['content-type']).toBe('text/plain');
        expect((await http1({ port }, 'GET', '/', { headers: { host: 'forbidden' } })).status).toBe(403);
      },
      { 'DELETE inventory 403': 1, 'GET forbidden 403': 1 },
    );
    expect(callee.calls).toBe(before);
    // The rule names one callee.
    await counting(
      async () =>
        expect((await proxied(port, 'DELETE', `http://127.0.0.1:${callee.port}/x`)).status).toBe(200),
      { 'DELETE other 200': 1 },
    );
  });

  test('obey the limits', async () => {
    const put = () => http1({ port }, 'PUT', '/x', { headers: { host: 'inventory' }, body: 'v' });
    await counting(
      async () => {
        const answers = [await put(), await put(), await put(), await put()];
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 429, 429]);
        expect(answers[2]?.body).toMatch(
          /^too many calls: the limit "few-puts" of the policy is met; try again in \d+ ms$/,
        );
        expect(Number(answers[2]?.headers['retry-after'])).toBeGreaterThan(20);
      },
      { 'PUT inventory 200': 2, 'PUT inventory 429': 2 },
    );
    const { body } = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
    expect(body).toContain('layotto_rate_limit_refusals_total{limit="few-puts"} 2');
    expect(body).toContain('layotto_policy_denials_total{rule="no-deletes"} 1');
  });

  test('that go away before their answer are counted as that', async () => {
    await counting(
      async () => {
        const call = request({
          host: '127.0.0.1',
          port,
          method: 'POST',
          path: '/',
          headers: { host: 'inventory' },
        });
        call.on('error', () => undefined);
        const before = callee.calls;
        call.write('x');
        await eventually('it has reached the callee', () => callee.calls > before);
        call.destroy();
      },
      { 'POST inventory 499': 1 },
    );
  });

  test('are not tunnels, and the proxy is no callee of its own', async () => {
    const refused = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port }, () =>
        socket.write('CONNECT inventory:80 HTTP/1.1\r\nHost: inventory:80\r\n\r\n'),
      );
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString());
      });
      socket.once('error', reject);
    });
    expect(refused).toMatch(/^HTTP\/1\.1 40[34] /);
    expect((await http1({ port }, 'GET', '/', { headers: { host: `127.0.0.1:${port}` } })).status).toBe(421);
    expect((await proxied(port, 'GET', `http://127.0.0.1:${port}/`)).status).toBe(421);
  });
});

describe('one limit for plain calls and runtime calls', () => {
  test('is shared by both, on every worker', async () => {
    const callee = await Callee.start();
    const runtime = await Runtime.start({
      concurrency: 2,
      callees: { inventory: { to: [{ host: '127.0.0.1', port: callee.port }] } },
      waitForComponents: false,
      policy: {
        default: 'allow',
        trustDomain: 'cluster.local',
        rules: [],
        limits: [limit('all', { perHour: 60, burst: 10 })],
      },
    });
    try {
      const port = runtime.config.listen.proxy?.port ?? 0;
      const statuses: number[] = [];
      for (let i = 0; i < 8; i++) {
        statuses.push((await http1({ port }, 'GET', '/', { headers: { host: 'inventory' } })).status);
        statuses.push((await http1(runtime.target, 'GET', '/v1.0/metadata')).status);
      }
      expect(statuses).toEqual([...Array<number>(10).fill(200), ...Array<number>(6).fill(429)]);
      expect(callee.calls).toBe(5);
    } finally {
      await runtime.stop();
      await callee.stop();
    }
  });
});

describe('a callee with several addresses', () => {
  test('loses no call that was not sent, when one of them is gone', async () => {
    const callee = await Callee.start();
    const runtime = await Runtime.start({
      concurrency: 2,
      waitForComponents: false,
      callees: {
        inventory: {
          to: [
            { host: '127.0.0.1', port: callee.port },
            { host: '127.0.0.1', port: await freePort() },
          ],
        },
      },
    });
    try {
      const port = runtime.config.listen.proxy?.port ?? 0;
      for (let i = 0; i < 30; i++)
        expect(
          (await http1({ port }, 'POST', '/', { headers: { host: 'inventory' }, body: 'x' })).status,
        ).toBe(200);
      expect(callee.calls).toBe(30);
    } finally {
      await runtime.stop();
      await callee.stop();
    }
  });
});
