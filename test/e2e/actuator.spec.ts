import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { http1, httpJson } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { EMBEDDED, redisComponent, Runtime, VERSION } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

interface Readiness {
  status: string;
  components: Record<string, { status: string; details?: { reason: string } }>;
}

const READINESS = '/actuator/health/readiness';
const LIVENESS = '/actuator/health/liveness';
const TOKEN = { 'dapr-api-token': 'open sesame' };

describe.each([false, true])('the actuator (hold mode: %p)', (hold) => {
  let runtime: Runtime;
  let redis: StoreServer | undefined;
  let redisPort: number;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'actuator-'));
    redisPort = await freePort();
    redis = await startStore('redis', [], redisPort);
    runtime = await Runtime.start({
      hold,
      concurrency: 2,
      actuator: true,
      apiToken: 'open sesame',
      components: [
        EMBEDDED,
        redisComponent(redisPort, { name: 'carts' }),
        { name: 'docs', type: 'file.local', metadata: { rootPath: join(folder, 'docs') } },
      ],
    });
  });
  afterAll(async () => {
    await runtime?.stop();
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The doors' port and the actuator's own. */
  const ports = () => [{ port: runtime.port }, { port: runtime.config.listen.actuator?.port ?? 0 }];

  async function ready(target = ports()[0] ?? runtime.target): Promise<Readiness & { code: number }> {
    const { status, json } = await httpJson(target, 'GET', READINESS);
    return { code: status, ...(json as Readiness) };
  }

  /** Waits until both ports answer so; every worker has to, so each is asked several times. */
  async function becomes(code: number): Promise<Readiness> {
    return eventually(`readiness is ${code}`, async () => {
      let last: (Readiness & { code: number }) | undefined;
      for (const target of [...ports(), ...ports(), ...ports()]) {
        last = await ready(target);
        if (last.code !== code) throw new Error(JSON.stringify(last));
      }
      return last;
    });
  }

  test('is up, on both ports, without the token', async () => {
    const up = { status: 'UP' };
    const started = { status: 'UP', details: { reason: '' } };
    expect(await becomes(200)).toMatchObject({
      components: { runtime_startup: started, bridge: up, 'state-statestore': up, 'state-carts': up },
      status: 'UP',
    });
    for (const target of ports()) {
      const { status, json } = await httpJson(target, 'GET', LIVENESS);
      expect([status, json]).toEqual([200, { components: { runtime_startup: started }, status: 'UP' }]);
    }
  });

  test('info needs the token', async () => {
    for (const target of ports()) {
      expect((await http1(target, 'GET', '/actuator/info')).status).toBe(401);
      const { status, json } = await httpJson(target, 'GET', '/actuator/info', undefined, TOKEN);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        app: { name: 'Layotto', version: VERSION },
        components: [{ name: 'statestore' }, { name: 'carts' }, { name: 'docs' }],
      });
    }
  });

  test("has nothing else on the actuator's port, however its path is spelt", async () => {
    const [, actuator = runtime.target] = ports();
    for (const path of [
      '/v1.0/state/statestore/k',
      '/v1.0/healthz',
      '/actuator/../v1.0/state/statestore/k',
      '/actuator/info/../../v1.0/state/statestore/k',
      '/actuator%2finfo',
      '/actuator/env',
      '/',
    ]) {
      const { status, body } = await http1(actuator, 'GET', path, { headers: TOKEN });
      expect([path, status, body]).toEqual([path, 404, '']);
    }
    const client = await runtime.connect(actuator);
    const call = await client.send({ path: '/spec.proto.runtime.v1.Runtime/GetState', body: [] });
    expect(call.grpcStatus).not.toBe(0);
  });

  test('a worker has one session, however many listeners it has', async () => {
    expect(await runtime.openSessions()).toBe(runtime.expectedSessions);
  });

  test('sets the log level of one component, and of all', async () => {
    const [doors = runtime.target, actuator = runtime.target] = ports();
    const set = (body: unknown) => httpJson(actuator, 'POST', '/actuator/logger', body, TOKEN);
    const levels = async () =>
      ((await httpJson(doors, 'GET', '/actuator/logger', undefined, TOKEN)).json as { loggers: unknown })
        .loggers;
    expect(await levels()).toEqual({
      bridge: 'info',
      filter: 'info',
      'state-statestore': 'info',
      'state-carts': 'info',
      'file-docs': 'info',
    });
    expect((await http1(actuator, 'POST', '/actuator/logger', { body: '{"level":"trace"}' })).status).toBe(
      401,
    );
    expect(await set({ component: 'state/redis', level: 'debug' })).toMatchObject({ status: 200, json: {} });
    expect(await levels()).toEqual({
      bridge: 'info',
      filter: 'info',
      'state-statestore': 'info',
      'state-carts': 'debug',
      'file-docs': 'info',
    });
    expect(await set({ level: 'debug' })).toMatchObject({ status: 200, json: {} });
    expect(await levels()).toEqual({
      bridge: 'debug',
      filter: 'debug',
      'state-statestore': 'debug',
      'state-carts': 'debug',
      'file-docs': 'debug',
    });
    expect(await set({ level: 'info' })).toMatchObject({ status: 200, json: {} });
    expect(await set({ component: 'nobody', level: 'info' })).toMatchObject({
      status: 200,
      json: { warning: expect.stringContaining('no logger') as string },
    });
    expect(await set({ level: 'loud' })).toMatchObject({ status: 400 });
  });

  test('sets how much the filter logs, on every worker, whatever the level of Envoy', async () => {
    const [doors = runtime.target] = ports();
    const set = async (level: string): Promise<void> => {
      const answer = await httpJson(doors, 'POST', '/actuator/logger', { component: 'filter', level }, TOKEN);
      expect(answer).toMatchObject({ status: 200, json: {} });
    };
    /** Calls until such a line is there that was not there before. */
    const key = 'a-key-of-the-caller';
    const calls = (): number =>
      runtime.envoy.log.split('dapr_http state GetState, component carts').length - 1;
    const call = () => http1(doors, 'GET', `/v1.0/state/carts/${key}`, { headers: TOKEN });
    await call();
    expect(calls()).toBe(0);
    await set('debug');
    await eventually('calls are said', async () => (await call()).status === 204 && calls() > 20);
    expect(runtime.envoy.log).toMatch(
      /\[warning\]\[wasm\].*layotto: debug: dapr_http state GetState, component carts: 204 after \d+ us/,
    );
    expect(runtime.envoy.log).not.toContain(key);
    await set('info');
    const quiet = await eventually('nothing is said any more', async () => {
      const before = calls();
      for (let round = 0; round < 20; round++) await call();
      return calls() === before && before;
    });
    expect(quiet).toBeGreaterThan(20);
  });

  test('names a store that is lost, and is up again when it is back', async () => {
    await redis?.stop();
    redis = undefined;
    const { components, status } = await becomes(503);
    expect(status).toBe('DOWN');
    expect(components['state-statestore']).toEqual({ status: 'UP' });
    expect(components['state-carts']).toMatchObject({ status: 'DOWN' });
    expect(components['state-carts']?.details?.reason).toContain(`127.0.0.1:${redisPort}`);
    expect((await http1(runtime.target, 'GET', LIVENESS)).status).toBe(200);
    redis = await startStore('redis', [], redisPort);
    expect((await becomes(200)).status).toBe('UP');
  });

  test('names a store without a connection whose folder is gone, and is up again when it is back', async () => {
    await rename(join(folder, 'docs'), join(folder, 'away'));
    const { components, status } = await becomes(503);
    expect(status).toBe('DOWN');
    expect(components['state-carts']).toEqual({ status: 'UP' });
    expect(components['file-docs']).toMatchObject({ status: 'DOWN' });
    expect(components['file-docs']?.details?.reason).toContain(join(folder, 'docs'));
    await rename(join(folder, 'away'), join(folder, 'docs'));
    expect((await becomes(200)).components['file-docs']).toEqual({ status: 'UP' });
  });

  test('answers while the bridge is away, and is up again when it is back', async () => {
    await runtime.killBridge();
    const { components, status } = await becomes(503);
    expect(status).toBe('DOWN');
    const details = { reason: 'the components bridge is not connected' };
    expect(components['bridge']).toEqual({ status: 'DOWN', details });
    expect(components['state-carts']).toEqual({ status: 'UNKNOWN', details });
    for (const target of ports()) expect((await http1(target, 'GET', LIVENESS)).status).toBe(200);
    const logger = await http1(runtime.target, 'GET', '/actuator/logger', { headers: TOKEN });
    expect(logger.status).toBe(503);
    await runtime.restartBridge();
    expect((await becomes(200)).status).toBe('UP');
  });
});
