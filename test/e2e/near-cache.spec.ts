import { Redis } from 'ioredis';

import { http1 } from '../support/http1.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';
import type { RawClient } from '../support/grpc-raw.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const MAX_AGE_MS = 60_000;

describe('a near cache on a real Envoy with two workers', () => {
  let server: StoreServer;
  let runtime: Runtime;
  let outside: Redis;
  let clients: RawClient[];

  beforeAll(async () => {
    server = await startStore('redis');
    const metadata = {
      redisHost: `127.0.0.1:${server.port}`,
      nearCacheMaxAge: `${MAX_AGE_MS}ms`,
      keyPrefix: 'none',
    };
    runtime = await Runtime.start({
      concurrency: 2,
      components: [redisComponent(server.port, { metadata })],
    });
    outside = new Redis(server.port, '127.0.0.1');
    // Enough connections that both workers have some.
    clients = await Promise.all(Array.from({ length: 8 }, () => runtime.connect()));
  });
  afterAll(async () => {
    outside?.disconnect();
    await runtime?.stop();
    await server?.stop();
  });

  async function read(client: RawClient, key: string): Promise<string> {
    const { grpcStatus, messages } = await client.send({
      path: `${LAYOTTO}/GetState`,
      body: [getStateBody(key)],
    });
    expect(grpcStatus).toBe(0);
    return valueOf(messages[0]);
  }

  async function save(client: RawClient, key: string, value: string): Promise<void> {
    const { grpcStatus } = await client.send({
      path: `${LAYOTTO}/SaveState`,
      body: [saveStateBody(key, value)],
    });
    expect(grpcStatus).toBe(0);
  }

  const hits = async (): Promise<number> => {
    const stats = await runtime.stats(/layotto_near_cache_reads_total;result=hit/);
    return Object.values(stats).reduce((sum, value) => sum + value, 0);
  };

  /** Reads a key through every connection until all answers come out of Envoy. */
  async function warm(key: string): Promise<void> {
    await eventually('every worker has kept the answer', async () => {
      const { headers } = await http1(runtime.target, 'GET', `/v1.0/state/statestore/${key}`);
      for (const client of clients) await read(client, key);
      return /cache;desc=hit/.test(String(headers['server-timing']));
    });
  }

  test('answers reads without the bridge, over gRPC and HTTP', async () => {
    await save(clients[0] as RawClient, 'still', '{"n":1}');
    await warm('still');
    await warm('still');
    await runtime.stopBridge();
    try {
      for (const client of clients) expect(await read(client, 'still')).toBe('{"n":1}');
      const http = await http1(runtime.target, 'GET', '/v1.0/state/statestore/still');
      expect(http).toMatchObject({ status: 200, body: '{"n":1}' });
      expect(http.headers['etag']).toBe('1');
    } finally {
      runtime.contBridge();
    }
    await eventually('hits are counted', async () => (await hits()) >= clients.length);
  });

  test('shows what others write within a moment, not at the end of its age', async () => {
    await runtime.sessionsOpen();
    await save(clients[0] as RawClient, 'shared', 'old');
    await warm('shared');
    await outside.hset('shared', 'data', 'new', 'version', '9');
    const changed = Date.now();
    await eventually('every connection reads the new value', async () => {
      const values = await Promise.all(clients.map((client) => read(client, 'shared')));
      return values.every((value) => value === 'new');
    });
    expect(Date.now() - changed).toBeLessThan(MAX_AGE_MS / 2);
    await outside.del('shared');
    await eventually(
      'the deletion shows',
      async () => (await read(clients[1] as RawClient, 'shared')) === '',
    );
  });

  test('lets a writer read what it wrote, through every worker', async () => {
    for (let i = 0; i < 200; i++) {
      await save(clients[i % clients.length] as RawClient, 'mine', String(i));
      const values = await Promise.all(clients.map((client) => read(client, 'mine')));
      const stale = values.some((value) => value !== String(i));
      expect({ values, ...(stale && (await circumstances('mine'))) }).toEqual({
        values: clients.map(() => String(i)),
      });
    }
  });

  /** What tells a stale answer of Envoy's from one of the store: both again, a moment later, and what was counted. */
  async function circumstances(key: string): Promise<object> {
    return {
      stored: await outside.hget(key, 'data'),
      again: await Promise.all(clients.map((client) => read(client, key))),
      counted: await runtime.stats(/layotto_(near_cache|session_links)/),
    };
  }

  test('is passed by reads that want what is there now', async () => {
    await save(clients[0] as RawClient, 'exact', '1');
    await warm('exact');
    const strong = await http1(runtime.target, 'GET', '/v1.0/state/statestore/exact?consistency=strong');
    expect(String(strong.headers['server-timing'])).toMatch(/bridge;dur=/);
  });
});
