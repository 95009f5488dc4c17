import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import { http1, httpJson } from '../support/http1.js';
import { MountedSecrets } from '../support/mounted-secrets.js';
import { Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const FIRST = 'first-password-of-redis';
const SECOND = 'second-password-of-redis';

/** Secrets are read again every 2 s, and settings that are not good yet are tried about as often. */
const SLOW = { timeoutMs: 30_000 };

describe('secrets', () => {
  let mounted: MountedSecrets;
  let redis: StoreServer;
  let admin: Redis;
  let runtime: Runtime;

  beforeAll(async () => {
    mounted = await MountedSecrets.create({ 'redis-password': FIRST, 'api-key': 'hush-hush', denied: 'no' });
    redis = await startStore('redis', ['--requirepass', FIRST]);
    admin = new Redis(redis.port, '127.0.0.1', { password: FIRST });
    const metadata = { path: mounted.path };
    const passwordFrom = (store: string) => [
      { injectAs: 'redisPassword', store, name: 'redis-password', key: 'redis-password' },
    ];
    const cache = { type: 'state.redis', metadata: { redisHost: `127.0.0.1:${redis.port}` } };
    const access = { default: 'allow' as const, allowed: [], denied: ['denied', 'redis-password'] };
    runtime = await Runtime.start({
      waitForComponents: false,
      components: [
        { ...cache, name: 'cache', secretRefs: passwordFrom('mounted') },
        { ...cache, name: 'waiting', secretRefs: passwordFrom('nowhere') },
        { name: 'mounted', type: 'secretstores.mounted', metadata, access },
      ],
    });
    await eventually(
      'the store has its password',
      async () => {
        const { status } = await http1(runtime.target, 'GET', '/v1.0/state/cache/x');
        return status === 204;
      },
      SLOW,
    );
  });

  afterAll(async () => {
    admin?.disconnect();
    await runtime?.stop();
    await redis?.stop();
    await mounted?.stop();
  });

  /** How often a component has become ready, as the bridge's log says. */
  const timesReady = (name: string): number =>
    runtime.bridgeProcess.log
      .split('\n')
      .filter((line) => line.includes('"component is ready"') && line.includes(`"component":"${name}"`))
      .length;

  test.each([LAYOTTO, DAPR])('%s', async (service) => {
    const client = await runtime.connect();
    const get = (storeName: string, key: string) =>
      client.unary(
        `${service}/GetSecret`,
        pb.GetSecretRequestSchema,
        { storeName, key },
        pb.GetSecretResponseSchema,
      );
    expect((await get('mounted', 'api-key')).message?.data).toEqual({ 'api-key': 'hush-hush' });
    expect((await get('mounted', 'absent')).grpcStatus).toBe(13);
    expect((await get('nope', 'api-key')).grpcStatus).toBe(3);
    expect(await get('mounted', 'denied')).toMatchObject({
      grpcStatus: 7,
      grpcMessage: 'access denied by policy to get "denied" from "mounted"',
    });
    const bulk = await client.unary(
      `${service}/GetBulkSecret`,
      pb.GetBulkSecretRequestSchema,
      { storeName: 'mounted' },
      pb.GetBulkSecretResponseSchema,
    );
    expect(bulk.message?.data.map(({ key, value }) => [key, value?.secrets])).toEqual([
      ['api-key', { 'api-key': 'hush-hush' }],
    ]);
  });

  test('Dapr HTTP', async () => {
    const get = (path: string) => httpJson(runtime.target, 'GET', `/v1.0/secrets/${path}`);
    expect(await get('mounted/api-key')).toMatchObject({ status: 200, json: { 'api-key': 'hush-hush' } });
    expect(await get('mounted/bulk')).toMatchObject({
      status: 200,
      json: { 'api-key': { 'api-key': 'hush-hush' } },
    });
    expect(await get('mounted/denied')).toMatchObject({
      status: 403,
      json: {
        errorCode: 'ERR_PERMISSION_DENIED',
        message: 'access denied by policy to get "denied" from "mounted"',
      },
    });
    expect(await get('mounted/absent')).toMatchObject({ status: 500 });
    expect(await get('nope/api-key')).toMatchObject({ status: 401 });
    expect(await get('mounted/..%2Fapi-key')).toMatchObject({ status: 500 });
  });

  test('a component whose secret is missing says which, and everything else goes on', async () => {
    const reason = 'redisPassword: there is no secret store "nowhere"';
    expect(await httpJson(runtime.target, 'GET', '/v1.0/state/waiting/x')).toMatchObject({
      status: 503,
      json: { message: expect.stringContaining(reason) as string },
    });
    const health = await runtime.health();
    expect(health.map(({ name, status }) => [name, status])).toEqual([
      ['cache', 'ready'],
      ['waiting', 'connecting'],
      ['mounted', 'ready'],
    ]);
    expect(health[1]?.reason).toBe(reason);
  });

  test('a password that is changed is used from then on', async () => {
    const set = (value: string) =>
      http1(runtime.target, 'POST', '/v1.0/state/cache', { body: `[{"key":"k","value":${value}}]` });
    expect((await set('1')).status).toBe(204);
    await mounted.set('redis-password', SECOND);
    // The server takes the old one still: what is open goes on, and the new one is tried until it is good.
    expect((await set('2')).status).toBe(204);
    await admin.config('SET', 'requirepass', SECOND);
    await eventually('the store is opened with the new password', () => timesReady('cache') === 2, SLOW);
    // Now only connections with the new one are left.
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually('the store is back', async () => (await set('3')).status === 204, SLOW);
    expect((await http1(runtime.target, 'GET', '/v1.0/state/cache/k')).body).toBe('3');
  });

  test('what components took from secret stores stands nowhere', async () => {
    const dump = await runtime.admin('/config_dump?include_eds');
    const files = await readdir(runtime.config.dataDir, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'utf8')),
    );
    const everything = [dump.body, runtime.bridgeProcess.log, runtime.envoy.log, ...texts].join('\n');
    expect(everything).toContain('redis-password');
    for (const secret of [FIRST, SECOND, 'hush-hush']) expect(everything).not.toContain(secret);
  });
});
