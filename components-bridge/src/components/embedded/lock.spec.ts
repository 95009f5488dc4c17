import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually } from '../../../../test/support/wait.js';
import { EmbeddedDatabase } from './database.js';
import { open } from './lock.js';
import type { EmbeddedLockStore } from './lock.js';

describe('EmbeddedLockStore', () => {
  let dataDir: string;
  let store: EmbeddedLockStore;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'locks-'));
    store = await openHere();
  });

  afterEach(async () => {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  function openHere(): Promise<EmbeddedLockStore> {
    const log = pino({ enabled: false });
    const told = { report: () => undefined, invalidate: () => undefined };
    return open({ name: 'locks', version: 'v1', appId: 'app', metadata: {}, dataDir, log, ...told });
  }

  it('keeps nothing of locks that are gone but one number', async () => {
    for (let count = 0; count < 50; count++) {
      const claim = { key: `k${count}`, owner: 'a' };
      await store.tryLock({ ...claim, expirySeconds: count % 2 === 0 ? 1 : 1_000 });
      if (count % 2 === 1) await store.unlock(claim);
    }
    await eventually('the expired ones are removed', () => store.database.size === 1);
  });

  it('writes nothing for whoever comes too late, or is not the owner', async () => {
    await store.tryLock({ key: 'k', owner: 'a', expirySeconds: 1_000 });
    const before = store.database.commits;
    await store.tryLock({ key: 'k', owner: 'b', expirySeconds: 1_000 });
    await store.unlock({ key: 'k', owner: 'b' });
    await store.keepAlive({ key: 'k', owner: 'b', expirySeconds: 1 });
    await store.unlock({ key: 'other', owner: 'b' });
    expect(store.database.commits).toBe(before);
  });

  it('asks again who the owner is when it writes: another bridge may have been faster', async () => {
    const other = await openHere();
    try {
      for (const change of ['unlock', 'keepAlive'] as const) {
        const claim = { key: change, expirySeconds: 1_000 };
        await store.tryLock({ ...claim, owner: 'a' });
        const { database } = store;
        const write = jest.spyOn(database, 'write');
        write.mockImplementationOnce(async (perform) => {
          await other.unlock({ ...claim, owner: 'a' });
          await other.tryLock({ ...claim, owner: 'b' });
          return EmbeddedDatabase.prototype.write.call(database, perform);
        });
        expect(await store[change]({ ...claim, owner: 'a' })).toBe('others');
        write.mockRestore();
        expect(await store.tryLock({ ...claim, owner: 'c' })).toBeUndefined();
        expect(await store.unlock({ ...claim, owner: 'b' })).toBe('done');
      }
    } finally {
      await other.close();
    }
  });

  it('gives tokens that grow, also when its folder was lost', async () => {
    let last = 0n;
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < 5; count++) {
        const token = (await store.tryLock({ key: `k${count}`, owner: 'a', expirySeconds: 1 })) ?? 0n;
        expect(token).toBeGreaterThan(last);
        last = token;
      }
      await store.close();
      await rm(dataDir, { recursive: true });
      store = await openHere();
    }
  });

  it('keeps a lock whose time was changed until the new one is up, whatever was said before', async () => {
    const claim = { key: 'k', owner: 'a' };
    await store.tryLock({ ...claim, expirySeconds: 1 });
    expect(await store.keepAlive({ ...claim, expirySeconds: 1_000 })).toBe('done');
    await store.database.sweepStep(Date.now() + 5_000);
    expect(await store.keepAlive({ ...claim, expirySeconds: 1_000 })).toBe('done');
    await store.database.sweepStep(Date.now() + 2_000_000);
    expect(store.database.size).toBe(1);
  });
});
