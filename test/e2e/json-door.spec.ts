import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

import { catalog } from '../../components-bridge/src/catalog.js';
import { loadConfig } from '../../components-bridge/src/config/index.js';
import type { ComponentConfig } from '../../components-bridge/src/config/types.js';
import { FileClient } from '../support/file-client.js';
import { http1, httpJson } from '../support/http1.js';
import { answerProblems, described, openApi, type Described } from '../support/openapi.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const MIB = 1024 * 1024;
const JSON_DOOR = '/v1.0-layotto/';

/** What has to come before the others, and what after them. */
const FIRST = /\/(Save|TryLock|Invoke|Apply)/;
const LAST = /\/(Del|Unlock)/;

function inOrder(operations: Described[]): Described[] {
  const rank = ({ path }: Described): number => (FIRST.test(path) ? 0 : LAST.test(path) ? 2 : 1);
  return operations.sort((a, b) => rank(a) - rank(b));
}

/** The components that are there without a configuration. */
async function defaults(dataDir: string): Promise<readonly ComponentConfig[]> {
  const loaded = await loadConfig({ catalog, dataDir });
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config.components;
}

describe('the JSON door of a real Envoy', () => {
  let dir: string;
  let runtime: Runtime;

  beforeAll(async () => {
    process.env.SECRET_API_KEY = 'hush';
    dir = await mkdtemp(join(tmpdir(), 'json-door-'));
    runtime = await Runtime.start({ components: await defaults(dir) });
  });

  afterAll(async () => {
    delete process.env.SECRET_API_KEY;
    await runtime?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const call = (operation: string, value: unknown) =>
    httpJson(runtime.target, 'POST', `${JSON_DOOR}${operation}`, value);

  test('serves the document', async () => {
    const { status, headers, json } = await httpJson(runtime.target, 'GET', `${JSON_DOOR}openapi.json`);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(json).toEqual(openApi);
  });

  test('does every operation as the document says', async () => {
    const files = new FileClient(`127.0.0.1:${runtime.port}`);
    await files.write('reports/may.txt', [Buffer.from('all is well')]);
    files.close();
    const operations = inOrder(
      described().filter(({ path, method }) => path.startsWith(JSON_DOOR) && method === 'POST'),
    );
    expect(operations.length).toBeGreaterThan(20);
    for (const operation of operations) {
      const { path, example } = operation;
      const { status, json } = await httpJson(runtime.target, 'POST', path, example);
      expect([path, answerProblems(operation, status, json)]).toEqual([path, []]);
      expect([path, status, json]).toEqual([path, 200, expect.anything()]);
      const more = { ...(example as object), nope: 1 };
      const unknown = await httpJson(runtime.target, 'POST', path, more);
      expect([path, answerProblems(operation, unknown.status, unknown.json)]).toEqual([path, []]);
      expect([path, unknown.status]).toEqual([path, 400]);
    }
  });

  test('the other routes answer as the document says', async () => {
    const lock = { resourceId: 'r', lockOwner: 'o' };
    const operations = [{ operation: 'delete', request: { key: 'k' } }];
    const binding = { operation: 'list', metadata: {} };
    await call('configuration/SaveConfiguration', {
      storeName: 'configstore',
      items: [{ key: 'colour', content: 'green' }],
    });
    const calls: [method: string, path: string, url: string, value: unknown, status: number][] = [
      ['POST', '/v1.0/state/{store}', '/v1.0/state/statestore', [{ key: 'k', value: { n: 1 } }], 204],
      ['GET', '/v1.0/state/{store}/{key}', '/v1.0/state/statestore/k', undefined, 200],
      ['PUT', '/v1.0/state/{store}/bulk', '/v1.0/state/statestore/bulk', { keys: ['k', 'no'] }, 200],
      ['POST', '/v1.0/state/{store}/transaction', '/v1.0/state/statestore/transaction', { operations }, 204],
      ['DELETE', '/v1.0/state/{store}/{key}', '/v1.0/state/statestore/k', undefined, 204],
      ['GET', '/v1.0/state/{store}/{key}', '/v1.0/state/nope/k', undefined, 400],
      ['POST', '/v1.0-alpha1/state/{store}/query', '/v1.0-alpha1/state/statestore/query', {}, 500],
      ['POST', '/v1.0/bindings/{name}', '/v1.0/bindings/localstorage', binding, 200],
      ['POST', '/v1.0/bindings/{name}', '/v1.0/bindings/nope', binding, 500],
      ['GET', '/v1.0/secrets/{store}/{name}', '/v1.0/secrets/secretstore/API_KEY', undefined, 200],
      ['GET', '/v1.0/secrets/{store}/bulk', '/v1.0/secrets/secretstore/bulk', undefined, 200],
      ['GET', '/v1.0/configuration/{store}', '/v1.0/configuration/configstore?key=colour', undefined, 200],
      [
        'POST',
        '/v1.0-alpha1/lock/{store}',
        '/v1.0-alpha1/lock/lockstore',
        { ...lock, expiryInSeconds: 9 },
        200,
      ],
      ['POST', '/v1.0-alpha1/unlock/{store}', '/v1.0-alpha1/unlock/lockstore', lock, 200],
      ['GET', '/v1.0/metadata', '/v1.0/metadata', undefined, 200],
      ['GET', '/v1.0/healthz', '/v1.0/healthz', undefined, 204],
      ['GET', '/v1.0/healthz', '/v1.0/healthz?appid=other', undefined, 500],
      ['GET', '/actuator/health/liveness', '/actuator/health/liveness', undefined, 200],
      ['GET', '/actuator/health/readiness', '/actuator/health/readiness', undefined, 200],
      ['GET', '/actuator/health/{type}', '/actuator/health/more', undefined, 500],
      ['GET', '/actuator/info', '/actuator/info', undefined, 200],
      ['GET', '/actuator/logger', '/actuator/logger', undefined, 200],
      ['POST', '/actuator/logger', '/actuator/logger', { component: 'statestore', level: 'info' }, 200],
      ['POST', '/actuator/logger', '/actuator/logger', {}, 500],
    ];
    for (const [method, path, url, value, expected] of calls) {
      const operation = described().find((one) => one.path === path && one.method === method);
      if (operation === undefined) throw new Error(`${method} ${path} is not described`);
      const { status, json } = await httpJson(runtime.target, method, url, value);
      expect([url, status]).toEqual([url, expected]);
      expect([url, answerProblems(operation, status, json)]).toEqual([url, []]);
    }
  });

  test('shares its values with the other doors', async () => {
    const value = Buffer.from('{"n":1}').toString('base64');
    const saved = await call('state/SaveState', { store_name: 'statestore', states: [{ key: 'k', value }] });
    expect(saved).toMatchObject({ status: 200, json: {} });
    expect(await http1(runtime.target, 'GET', '/v1.0/state/statestore/k')).toMatchObject({ body: '{"n":1}' });
    const got = await call('state/GetState', { storeName: 'statestore', key: 'k' });
    expect(got).toMatchObject({ status: 200, json: { data: value, etag: '1' } });
    expect(got.headers['server-timing']).toMatch(/bridge/);
    const stale = { storeName: 'statestore', states: [{ key: 'k', value, etag: { value: '7' } }] };
    expect(await call('state/SaveState', stale)).toMatchObject({
      status: 409,
      json: { errorCode: 'ABORTED' },
    });
    expect(await call('secret/GetSecret', { storeName: 'secretstore', key: 'API_KEY' })).toMatchObject({
      json: { data: { API_KEY: 'hush' } },
    });
    expect(await call('hello/SayHello', { serviceName: 'helloworld', name: 'Ada' })).toMatchObject({
      json: { hello: expect.stringContaining('Ada') as string },
    });
  });

  test('carries values of a mebibyte', async () => {
    const value = Buffer.alloc(MIB, 'v').toString('base64');
    const saved = await call('state/SaveState', {
      storeName: 'statestore',
      states: [{ key: 'large', value }],
    });
    expect(saved).toMatchObject({ status: 200 });
    const got = await call('state/GetState', { storeName: 'statestore', key: 'large' });
    expect(got.status).toBe(200);
    expect((got.json as { data: string }).data === value).toBe(true);
  });

  test('says what is wrong with a request', async () => {
    const refused = async (body: string, message: RegExp, status = 400) => {
      const answer = await http1(runtime.target, 'POST', `${JSON_DOOR}state/GetState`, { body });
      expect([body.slice(0, 40), answer.status]).toEqual([body.slice(0, 40), status]);
      expect((JSON.parse(answer.body) as { message: string }).message).toMatch(message);
    };
    const good = '"storeName":"statestore"';
    await refused(`{${good},"kee":"k"}`, /"kee" is unknown/);
    await refused(`{${good},"key":1}`, /GetStateRequest.key/);
    await refused(`{${good},"key":"a","key":"b"}`, /key/);
    await refused(`{${good},"metadata":{"a":"1","a":"2"}}`, /a/);
    await refused(`{${good},"consistency":1e999}`, /Consistency/);
    await refused(`{${good},"key":"\\ud800"}`, /./);
    await refused(`{${good},"a":${'['.repeat(500_000)}`, /depth/);
    await refused('{"storeName":"nope"}', /no state component "nope"/);
    await refused(`{${good},"key":"${'k'.repeat(4 * MIB)}"}`, /limits\.message/, 413);
    expect(runtime.envoy.log).not.toMatch(/trap|abort|RuntimeError/i);
  });

  test('refuses an answer that is too long as JSON', async () => {
    const saved = await http1(runtime.target, 'POST', '/v1.0/state/statestore', {
      body: `[{"key":"long","value":"${'v'.repeat(3.5 * MIB)}"}]`,
    });
    expect(saved.status).toBe(204);
    expect(await call('state/GetState', { storeName: 'statestore', key: 'long' })).toMatchObject({
      status: 429,
      json: { errorCode: 'RESOURCE_EXHAUSTED', message: expect.stringMatching(/bytes as JSON/) as string },
    });
  });

  test('keeps deadlines, and says so in its own way', async () => {
    await runtime.stopBridge();
    try {
      const headers = { 'grpc-timeout': '200m' };
      const path = `${JSON_DOOR}state/GetState`;
      const late = await httpJson(
        runtime.target,
        'POST',
        path,
        { storeName: 'statestore', key: 'k' },
        headers,
      );
      expect(late).toMatchObject({ status: 408, json: { errorCode: 'DEADLINE_EXCEEDED' } });
    } finally {
      runtime.contBridge();
    }
  });

  test('counts calls by what they call', async () => {
    await eventually('they are counted', async () => {
      const stats = await runtime.stats(/layotto_operations_total.*door=json/);
      const names = Object.keys(stats).join('\n');
      return /operation=SayHello/.test(names) && /operation=GetState;component=statestore/.test(names);
    });
  });
});

test('a token is asked for', async () => {
  const runtime = await Runtime.start({ apiToken: 'secret' });
  try {
    const get = (headers: Record<string, string>) =>
      httpJson(runtime.target, 'GET', `${JSON_DOOR}openapi.json`, undefined, headers);
    expect(await get({})).toMatchObject({ status: 401, json: { errorCode: 'UNAUTHENTICATED' } });
    expect(await get({ 'dapr-api-token': 'secret' })).toMatchObject({ status: 200 });
  } finally {
    await runtime.stop();
  }
});

describe('answers kept in Envoy', () => {
  let server: StoreServer;
  let runtime: Runtime;
  let outside: Redis;

  beforeAll(async () => {
    server = await startStore('redis');
    const metadata = {
      redisHost: `127.0.0.1:${server.port}`,
      nearCacheMaxAge: '60s',
      keyPrefix: 'none',
    };
    const configs = {
      name: 'configs',
      type: 'configuration.redis',
      metadata: { redisHost: `127.0.0.1:${server.port}`, answerInEnvoy: '30s' },
    };
    const components = [redisComponent(server.port, { metadata }), configs];
    runtime = await Runtime.start({ concurrency: 2, components });
    outside = new Redis(server.port, '127.0.0.1');
  });

  afterAll(async () => {
    outside?.disconnect();
    await runtime?.stop();
    await server?.stop();
  });

  test('of configuration are not given any more, on any worker, once the JSON door has written', async () => {
    const save = (content: string) =>
      httpJson(runtime.target, 'POST', `${JSON_DOOR}configuration/SaveConfiguration`, {
        storeName: 'configs',
        items: [{ key: 'a', content }],
      });
    const read = () => httpJson(runtime.target, 'GET', '/v1.0/configuration/configs?key=a');
    for (let round = 0; round < 20; round++) {
      expect(await save(String(round))).toMatchObject({ status: 200 });
      for (let again = 0; again < 8; again++) {
        expect(await read()).toMatchObject({ json: { a: { value: String(round) } } });
      }
    }
    await eventually('Envoy answers', async () =>
      /cache;desc=hit/.test(String((await read()).headers['server-timing'])),
    );
  });

  test('of state are not given any more, on any worker, once the JSON door has written', async () => {
    const save = (text: string) =>
      httpJson(runtime.target, 'POST', `${JSON_DOOR}state/SaveState`, {
        storeName: 'statestore',
        states: [{ key: 'k', value: Buffer.from(text).toString('base64') }],
      });
    const read = () => http1(runtime.target, 'GET', '/v1.0/state/statestore/k');
    for (let round = 0; round < 20; round++) {
      expect(await save(String(round))).toMatchObject({ status: 200 });
      for (let again = 0; again < 8; again++) expect(await read()).toMatchObject({ body: String(round) });
    }
    expect((await read()).headers['server-timing']).toMatch(/cache;desc=hit/);
  });
});
