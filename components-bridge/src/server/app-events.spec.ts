import { jest } from '@jest/globals';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { SAMPLE_CONFIG } from '../../../envoy/samples.js';
import { HttpApp } from '../../../test/support/http-app.js';
import type { RuntimeConfig } from '../config/types.js';
import { Policy } from '../policy/policy.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import { AppEvents } from './app-events.js';

/** Whether there are brokers; none of them is ever asked. */
function registry(brokers: boolean): ComponentRegistry {
  const stub = { serves: () => brokers, find: () => undefined, onChange: () => () => undefined };
  return stub as unknown as ComponentRegistry;
}

describe('the app on a node whose sidecars take no deliveries', () => {
  let dir: string;
  let app: HttpApp;
  let log: { level: number; msg: string }[];
  let events: AppEvents | undefined;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'app-events-'));
    await mkdir(join(dir, 'pods'));
    app = await HttpApp.open();
    await app.start();
    log = [];
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  });

  afterEach(async () => {
    jest.useRealTimers();
    events?.close();
    await app.stop();
    await rm(dir, { recursive: true, force: true });
  });

  function made(port: number, brokers = true): AppEvents {
    const config: RuntimeConfig = { ...SAMPLE_CONFIG, app: { id: 'shop', port, protocol: 'http' } };
    events = new AppEvents({
      config,
      places: { pods: join(dir, 'pods'), hasSession: () => true },
      appToken: '',
      functions: undefined,
      registry: registry(brokers),
      policy: new Policy(config),
      log: pino({ level: 'trace' }, { write: (line) => void log.push(JSON.parse(line) as never) }),
    });
    events.start();
    return events;
  }

  it('is not asked, and that is said once, after a session has come and some time has passed', async () => {
    const running = made(app.port);
    running.noteSession();
    await jest.advanceTimersByTimeAsync(9_000);
    expect(log).toEqual([]);
    for (let hour = 0; hour < 24; hour++) {
      running.noteSession();
      await jest.advanceTimersByTimeAsync(3_600_000);
    }
    expect(log.map(({ level, msg }) => [level, msg])).toEqual([
      [40, expect.stringMatching(/^no sidecar of the app takes deliveries/)],
    ]);
    expect([app.asked, app.calls.length]).toEqual([0, 0]);
    expect(running.callerOf('shop-1')).toBeUndefined();
  });

  it.each([
    ['the app listens nowhere', false, true],
    ['there is no broker', true, false],
  ])('nothing is said where %s', async (_, listens, brokers) => {
    made(listens ? app.port : 0, brokers).noteSession();
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(log).toEqual([]);
  });
});
