import { RATE_VECTORS } from '../../../test/policy/rate-vectors.js';
import { RateLimits } from './rates.js';
import type { CompiledLimit, Subject } from './types.js';

const SHOP = { app: 'shop', spiffe: '' };
const GET: Subject = { primitive: 'state', operation: 'GetState', component: 'statestore', name: undefined };
const limit = (name: string, burst: number, more: Partial<CompiledLimit> = {}): CompiledLimit => ({
  about: { name },
  perHour: 60,
  burst,
  ...more,
});

it.each(RATE_VECTORS)('$about', ({ limits, steps }) => {
  const rates = new RateLimits(limits);
  let now = 5_000;
  for (const {
    afterMs = 0,
    times,
    passes,
    operation = 'GetState',
    component = 'statestore',
    told,
  } of steps) {
    now += afterMs;
    const subject = { ...GET, operation, component };
    const taken = Array.from({ length: times }, () => rates.take(SHOP, subject, now));
    expect(taken.filter((spent) => spent === undefined)).toHaveLength(passes);
    if (told !== undefined) expect(taken.at(-1)).toEqual({ limit: told[0], waitMs: told[1] });
  }
});

it('a limit that stays goes on as it is, a changed one begins with a full bucket', () => {
  const before = new RateLimits([limit('same', 1), limit('other', 1)]);
  expect(before.take(SHOP, GET, 0)).toBeUndefined();
  const same = new RateLimits([limit('same', 1)], before);
  expect(same.take(SHOP, GET, 10)).toEqual({ limit: 'same', waitMs: 59_990 });
  const changed = new RateLimits([limit('same', 2)], same);
  expect([1, 2, 3].map(() => changed.take(SHOP, GET, 10) === undefined)).toEqual([true, true, false]);
});

it('has no more than 1000 buckets of a limit, and one for all that come later', () => {
  const rates = new RateLimits([limit('each', 1, { per: ['component'] })]);
  const passes = (component: string): boolean => rates.take(SHOP, { ...GET, component }, 0) === undefined;
  for (let i = 0; i < 1_000; i++) expect(passes(`store-${i}`)).toBe(true);
  expect([passes('store-1000'), passes('store-1001'), passes('store-7')]).toEqual([true, false, false]);
});

it('a probe counts only where a limit names its primitive, a stream only where none names a component', () => {
  const probe = { ...GET, primitive: 'health', operation: 'Check', component: '' };
  const all = new RateLimits([limit('all', 1)]);
  expect([1, 2].map(() => all.take(SHOP, probe, 0))).toEqual([undefined, undefined]);
  const named = new RateLimits([limit('probes', 1, { about: { name: 'probes', primitives: ['health'] } })]);
  expect([1, 2].map(() => named.take(SHOP, probe, 0)?.limit)).toEqual([undefined, 'probes']);
  const stream = { ...GET, component: undefined };
  const ofStore = new RateLimits([
    limit('store', 1, { about: { name: 'store', components: ['statestore'] } }),
  ]);
  expect([1, 2].map(() => ofStore.take(SHOP, stream, 0))).toEqual([undefined, undefined]);
});
