import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import * as z from 'zod';

import type { ComponentConfig } from '../../config/types.js';
import * as pb from '../../gen/layotto/bridge/v1/configuration_pb.js';
import { PushSchema } from '../../gen/layotto/bridge/v1/session_pb.js';
import type { Push } from '../../gen/layotto/bridge/v1/session_pb.js';
import { ComponentRegistry } from '../registry.js';
import { LiveAnswers } from './live.js';
import type { Outlet } from './live.js';
import { Notices } from './notices.js';
import { ConfigurationError } from './store.js';
import type { ConfigurationItem, ConfigurationQuery, ConfigurationStore } from './store.js';
import { Watches } from './watches.js';

/** A store that a spec looks into. */
class TestStore implements ConfigurationStore {
  readonly defaults = { group: 'default', label: 'default' };
  readonly items = new Map<string, string>();
  readonly notices = new Notices();
  reads = 0;
  /** What the next read and proof fail with. */
  failure: ConfigurationError | undefined;
  /** Proofs wait for it. */
  proof: Promise<void> = Promise.resolve();

  async get({ keys }: ConfigurationQuery): Promise<ConfigurationItem[]> {
    this.reads++;
    if (this.failure !== undefined) throw this.failure;
    return keys.flatMap((key) => {
      const content = this.items.get(key);
      if (content === undefined) return [];
      return [{ key, content, ...this.defaults, tags: {}, metadata: {}, version: '' }];
    });
  }

  async save(): Promise<void> {
    throw new Error('not here');
  }

  async delete(): Promise<void> {
    throw new Error('not here');
  }

  watch(query: ConfigurationQuery, changed: () => void) {
    return this.notices.add(query, changed);
  }

  async confirm(): Promise<void> {
    await this.proof;
    if (this.failure !== undefined) throw this.failure;
  }

  set(key: string, content: string): void {
    this.items.set(key, content);
    this.notices.changed({ ...this.defaults, key });
  }

  async close(): Promise<void> {}
}

/** A filter that keeps what it is told. */
class Filter implements Outlet {
  readonly pushes: Push[] = [];
  backlog = 0;

  push(payload: Uint8Array): void {
    this.pushes.push(fromBinary(PushSchema, payload));
  }

  /** Contents that it was told of a key, oldest first; undefined: withdrawn. */
  told(key: string): (string | undefined)[] {
    return this.pushes.flatMap(({ answer }) => {
      if (answer === undefined) return [];
      if (fromBinary(pb.GetConfigurationRequestSchema, answer.request).keys[0] !== key) return [];
      if (answer.withdrawn) return [undefined];
      return [fromBinary(pb.GetConfigurationResponseSchema, answer.response).items[0]?.content ?? ''];
    });
  }

  /** Numbers that it was told are fresh. */
  get fresh(): number[] {
    return this.pushes.flatMap(({ freshness }) => freshness?.answers ?? []);
  }
}

describe('live answers', () => {
  let dataDir: string;
  let store: TestStore;
  let registry: ComponentRegistry;
  let watches: Watches;
  let live: LiveAnswers;
  const config: ComponentConfig = {
    name: 'configs',
    type: 'configuration.test',
    version: 'v1',
    primitive: 'configuration',
    form: 'native',
    metadata: { answerInEnvoy: '1s' },
    origin: { file: 'test', line: 0 },
  };

  async function begin(cacheBytes = 1_000_000): Promise<void> {
    dataDir = await mkdtemp(join(tmpdir(), 'live-'));
    store = new TestStore();
    const metadata = z.strictObject({ answerInEnvoy: z.string().optional() });
    registry = new ComponentRegistry({
      components: [config],
      types: [
        {
          type: 'configuration.test',
          primitive: 'configuration',
          capabilities: [],
          metadata,
          load: async () => ({ open: async () => store }),
        },
      ],
      dataDir,
      log: pino({ level: 'silent' }),
    });
    registry.start();
    await registry.allReady(1_000);
    watches = new Watches({ registry, appId: 'app' });
    live = new LiveAnswers({ registry, watches, cacheBytes });
  }

  afterEach(async () => {
    live.close();
    watches.close();
    await registry.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  function touch(key: string): void {
    const request = create(pb.GetConfigurationRequestSchema, { storeName: 'configs', keys: [key] });
    live.touch(config, toBinary(pb.GetConfigurationRequestSchema, request), request);
  }

  async function until(probe: () => boolean, what: string): Promise<void> {
    const end = performance.now() + 3_000;
    while (!probe()) {
      if (performance.now() > end) throw new Error(`not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  function joined(): Filter {
    const filter = new Filter();
    live.join(filter);
    return filter;
  }

  test('are told to every filter, also one that comes later, and again when they change', async () => {
    await begin();
    store.items.set('k', '1');
    const filter = joined();
    touch('k');
    await until(() => filter.told('k').length === 1, 'the first answer');
    const later = joined();
    expect(later.told('k')).toEqual(['1']);
    store.set('k', '2');
    store.set('other', 'x');
    await until(() => later.told('k').length === 2, 'the change');
    expect(filter.told('k')).toEqual(['1', '2']);
    expect(watches.size).toBe(1);
  });

  test('are fresh while the store proves it, and only then', async () => {
    await begin();
    store.items.set('k', '1');
    const filter = joined();
    touch('k');
    await until(() => filter.fresh.length > 0, 'freshness');
    const [id] = filter.fresh;
    expect(filter.pushes.find(({ answer }) => answer !== undefined)?.answer?.id).toBe(id);
    store.failure = new ConfigurationError('unavailable', 'away');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { length } = filter.fresh;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(filter.fresh).toHaveLength(length);
    store.failure = undefined;
    await until(() => filter.fresh.length > length, 'freshness again');
  });

  test('of a store that can only be read now and then are fresh since they were read', async () => {
    await begin();
    store.items.set('k', '1');
    // As one that polls: it cannot tell, so it says that anything may have changed.
    store.confirm = async () => store.notices.allChanged();
    const filter = joined();
    touch('k');
    await until(() => filter.fresh.length > 3, 'freshness');
    expect(filter.told('k')).toEqual(['1']);
    for (const { freshness } of filter.pushes) {
      if (freshness !== undefined) expect(Number(freshness.ageUs)).toBeLessThan(600_000);
    }
  });

  test('of which a change is known and not yet read are not fresh', async () => {
    await begin();
    store.items.set('k', '1');
    const filter = joined();
    touch('k');
    await until(() => filter.fresh.length > 0, 'freshness');
    let prove = (): void => undefined;
    store.proof = new Promise((resolve) => (prove = resolve));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { length } = filter.fresh;
    // The proof is under way. A change is told that cannot be read.
    const get = store.get.bind(store);
    store.get = () => Promise.reject(new ConfigurationError('failed', 'not now'));
    store.set('k', '2');
    prove();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(filter.fresh).toHaveLength(length);
    store.get = get;
    await until(() => filter.told('k').at(-1) === '2', 'the change');
    await until(() => filter.fresh.length > length, 'freshness again');
  });

  test('wait for a filter that does not read, and are told it in their latest state', async () => {
    await begin();
    store.items.set('k', '1');
    const filter = joined();
    touch('k');
    await until(() => filter.told('k').length === 1, 'the first answer');
    filter.backlog = 10_000_000;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { length } = filter.fresh;
    for (const content of ['2', '3', '4']) {
      store.set('k', content);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(filter.told('k')).toEqual(['1']);
    // It has not got what is right now.
    expect(filter.fresh).toHaveLength(length);
    filter.backlog = 0;
    await until(() => filter.told('k').length === 2, 'the latest');
    expect(filter.told('k')).toEqual(['1', '4']);
  });

  test('are 500 at most, and as many bytes as may be; what goes is withdrawn and not watched any more', async () => {
    await begin(200_000);
    const filter = joined();
    for (let i = 0; i < 700; i++) touch(`k${i}`);
    expect(watches.size).toBeLessThanOrEqual(500);
    for (let i = 700; i < 750; i++) store.items.set(`k${i}`, 'x'.repeat(10_000));
    for (let i = 700; i < 750; i++) touch(`k${i}`);
    await until(() => filter.told('k749').length > 0, 'the last answer');
    expect(watches.size).toBeLessThan(40);
    expect(filter.told('k700').at(-1)).toBeUndefined();
    expect(filter.told('k749').at(-1)).toHaveLength(10_000);
  });

  test('that are too long are withdrawn until they are shorter', async () => {
    await begin();
    store.items.set('k', '1');
    const filter = joined();
    touch('k');
    await until(() => filter.told('k').length === 1, 'the first answer');
    store.set('k', 'x'.repeat(300_000));
    await until(() => filter.told('k').length === 2, 'the withdrawal');
    store.set('k', '3');
    await until(() => filter.told('k').length === 3, 'the short one');
    expect(filter.told('k')).toEqual(['1', undefined, '3']);
  });

  test('are given up when the store does not want them any more', async () => {
    await begin();
    const filter = joined();
    touch('k');
    await until(() => filter.told('k').length === 1, 'the first answer');
    await registry.apply([{ ...config, metadata: {} }], { removeOthers: true, waitMs: 1_000 });
    await until(() => watches.size === 0, 'nothing is watched');
    expect(filter.told('k').at(-1)).toBeUndefined();
  });
});
