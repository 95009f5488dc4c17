import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually } from '../../../../test/support/wait.js';
import { open } from './state.js';
import type { EmbeddedStateStore } from './state.js';

describe('EmbeddedStateStore', () => {
  let dataDir: string;
  const stores: EmbeddedStateStore[] = [];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'embedded-'));
  });

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await rm(dataDir, { recursive: true, force: true });
  });

  async function store(name = 'store', metadata: Record<string, string> = {}): Promise<EmbeddedStateStore> {
    const log = pino({ enabled: false });
    const opened = await open({
      name,
      version: 'v1',
      appId: 'app',
      metadata,
      dataDir,
      log,
      report: () => undefined,
      invalidate: () => undefined,
    });
    stores.push(opened);
    return opened;
  }

  const put = (to: EmbeddedStateStore, key: string, value: string, ttlSeconds?: number): Promise<void> =>
    to.set({ key, value: Buffer.from(value), firstWrite: false, ttlSeconds });

  it('keeps what was saved when it is closed and opened again', async () => {
    const first = await store();
    await put(first, 'a', 'one');
    await put(first, 'a', 'two');
    await first.close();
    stores.length = 0;
    expect(await (await store()).get('a')).toEqual({ data: Buffer.from('two'), etag: '2' });
  });

  it('finishes what it was given before it closes, and takes nothing after', async () => {
    const first = await store();
    const saved = put(first, 'a', 'x');
    await first.close();
    await saved;
    await expect(put(first, 'b', 'x')).rejects.toMatchObject({ kind: 'unavailable' });
    stores.length = 0;
    expect((await (await store()).get('a'))?.etag).toBe('1');
  });

  it('may be opened again, and closed, while it is written to', async () => {
    const first = await store();
    let writing = true;
    const writes = async (): Promise<number> => {
      let count = 0;
      for (; writing; count++) await put(first, `k${count % 10}`, 'x');
      return count;
    };
    const counts = [writes(), writes()];
    for (let n = 1; n <= 10; n++) {
      const second = await store();
      await put(second, 'b', 'x');
      expect((await first.get('b'))?.etag).toBe(String(n));
      await second.close();
    }
    writing = false;
    for (const count of await Promise.all(counts)) expect(count).toBeGreaterThan(0);
    stores.length = 1;
  });

  it('finishes what it was given before another opens it', async () => {
    const first = await store();
    const saved = Array.from({ length: 20 }, (_, n) => put(first, `k${n}`, 'x'));
    const closed = first.close();
    stores.length = 0;
    const second = await store();
    expect((await second.get('k19'))?.etag).toBe('1');
    await Promise.all([closed, ...saved]);
  });

  it('lives in a folder of its name, for its owner only, inside the data folder', async () => {
    await store('my.store');
    await store('..');
    expect(await readdir(join(dataDir, 'state'))).toEqual(['%2E%2E', 'my.store']);
    expect((await stat(join(dataDir, 'state', 'my.store'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(dataDir, 'state', 'my.store'))).toContain('data.mdb');
  });

  it('lives where it is told to', async () => {
    const path = join(dataDir, 'else', 'where.d');
    await put(await store('store', { path }), 'a', 'x');
    expect(await readdir(path)).toContain('data.mdb');
  });

  it('says what is wrong when its file is not a store', async () => {
    await mkdir(join(dataDir, 'state', 'store'), { recursive: true });
    await writeFile(join(dataDir, 'state', 'store', 'data.mdb'), 'not a store'.repeat(1_000));
    await expect(store()).rejects.toThrow(/data\.mdb is not a store of this runtime/);
    await writeFile(join(dataDir, 'state', 'store', 'data.mdb'), 'short');
    await expect(store()).rejects.toThrow(/is not a store/);
  });

  it('commits together what comes together, each for itself', async () => {
    const target = await store();
    const saves = Array.from({ length: 500 }, (_, index) =>
      target
        .set({
          key: `k${index}`,
          value: Buffer.from('x'),
          etag: index % 5 === 0 ? 'bad' : undefined,
          firstWrite: false,
        })
        .then(
          () => true,
          () => false,
        ),
    );
    const outcomes = await Promise.all(saves);
    expect(outcomes.filter((done) => !done)).toHaveLength(100);
    expect(target.database.size).toBe(400);
    expect(target.database.commits).toBeLessThan(5);
  });

  it('takes more than one commit holds', async () => {
    const target = await store();
    const value = Buffer.alloc(4 * 1024 * 1024, 'v');
    const keys = Array.from({ length: 10 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => target.set({ key, value, firstWrite: false })));
    for (const key of keys) expect((await target.get(key))?.data.length).toBe(value.length);
    expect(target.database.commits).toBeGreaterThan(2);
  });

  it('removes what has expired in bounded steps, and nothing else', async () => {
    const target = await store();
    const count = 300;
    await Promise.all(Array.from({ length: count }, (_, index) => put(target, `short${index}`, 'x', 1)));
    await Promise.all([
      put(target, 'stays', 'x'),
      put(target, 'long', 'x', 1_000),
      put(target, 'renewed', 'x', 1),
      put(target, 'deleted', 'x', 1),
      put(target, 'kept', 'x', 1),
    ]);
    await put(target, 'renewed', 'y', 1_000);
    await put(target, 'kept', 'y', 0);
    await target.delete({ key: 'deleted' });
    const later = Date.now() + 5_000;
    expect(await target.database.sweepStep(later)).toBe(256);
    expect(await target.database.sweepStep(later)).toBe(count - 256);
    expect(await target.database.sweepStep(later)).toBe(0);
    expect(target.database.size).toBe(4);
    for (const key of ['stays', 'long', 'renewed', 'kept']) expect(await target.get(key)).toBeDefined();
  });

  it('removes what has expired by itself', async () => {
    const target = await store();
    await put(target, 'a', 'x', 1);
    await put(target, 'k'.repeat(5_000), 'x', 1);
    expect(target.database.size).toBe(2);
    await eventually('both are removed', () => target.database.size === 0);
  });
});
