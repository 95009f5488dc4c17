import type { LockStore, TimedLockClaim } from '../primitives/lock/lock-store.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import { RunClaims } from './run-claims.js';

const TIME = '2026-01-01T00:00:00.000Z';

/** Who has what. */
let held: Map<string, TimedLockClaim>;
let away: boolean;
beforeEach(() => {
  held = new Map();
  away = false;
});

const locks: Pick<LockStore, 'tryLock'> = {
  tryLock: (claim) => {
    const owner = held.get(claim.key)?.owner;
    if (owner !== undefined && owner !== claim.owner) return Promise.resolve(undefined);
    held.set(claim.key, claim);
    return Promise.resolve(1n);
  },
};

/** One replica of an app, whose lock component puts nothing in front of its keys. */
function replica(app = 'shop'): RunClaims {
  const slot = {
    use: (work: () => unknown) => work(),
    get instance() {
      return away ? undefined : locks;
    },
    config: { name: 'locks', metadata: { keyPrefix: 'none' } },
    reason: 'it is away',
  };
  const find = (_: string, name: string): unknown => (name === 'locks' ? slot : undefined);
  return new RunClaims({ find } as unknown as ComponentRegistry, app);
}

test('each run is of one replica; every run, schedule and app is another one', async () => {
  const [one, other] = [replica(), replica()];
  expect(await one.take('locks', 'nightly', TIME)).toBe(true);
  expect(await other.take('locks', 'nightly', TIME)).toBe(false);
  expect(await other.take('locks', 'nightly', TIME.replace('00:00', '00:01'))).toBe(true);
  expect(await other.take('locks', 'hourly', TIME)).toBe(true);
  expect(await replica('cart').take('locks', 'nightly', TIME)).toBe(true);
  // What separates the parts may stand in a name.
  expect(await other.take('locks', 'a', `b/${TIME}`)).toBe(true);
  expect(await one.take('locks', 'a/b', TIME)).toBe(true);
});

test('a run stays taken for longer than clocks differ', async () => {
  await replica().take('locks', 'nightly', TIME);
  for (const { expirySeconds } of held.values()) expect(expirySeconds).toBeGreaterThanOrEqual(60);
});

test('where nobody can tell whose it is, that is said', async () => {
  await expect(replica().take('others', 'nightly', TIME)).rejects.toThrow('there is no lock store others');
  away = true;
  await expect(replica().take('locks', 'nightly', TIME)).rejects.toThrow(
    'lock store locks is not ready: it is away',
  );
});
