import type { PluginConfiguration } from '../../envoy/plugin-config.js';
import { configuration, Filter } from './harness.js';

interface Readiness {
  status: string;
  components: Record<string, { status: string; details?: { reason: string } }>;
}

/** A thread's filter, called so. */
const filterOf = (plugin: string, overrides: Partial<PluginConfiguration> = {}): Promise<Filter> =>
  Filter.configured(overrides, { plugin_name: plugin });

/** Filters of threads of one Envoy, at the same time. */
async function threads(...plugins: string[]): Promise<Filter[]> {
  const filters = await Promise.all(plugins.map((plugin) => filterOf(plugin)));
  for (const filter of filters) join(filter, filters[0]);
  return filters;
}

function join(filter: Filter, other: Filter | undefined): void {
  if (other === undefined) return;
  filter.host.sharedData = other.host.sharedData;
  filter.host.nowNs = other.host.nowNs;
}

/** Lets time pass for all of them, half a second at a time. */
function pass(seconds: number, ...alive: Filter[]): void {
  for (let left = seconds * 2; left > 0; left--) for (const filter of alive) filter.advance(500);
}

/** What readiness says of modules. */
function modules(filter: Filter): Record<string, string | undefined> {
  const { components } = JSON.parse(
    filter.http('GET', '/actuator/health/readiness').answer?.body.toString() ?? '',
  ) as Readiness;
  const found = Object.entries(components).filter(([name]) => name.startsWith('module-'));
  return Object.fromEntries(found.map(([name, { details }]) => [name.slice(7), details?.reason]));
}

const said = (times: string, seconds: number): string =>
  `it trapped ${times} ${seconds} s ago; Envoy starts it anew at the next call`;

test('a VM that falls silent is shown as a trap of its module by the others', async () => {
  const [one, two, three] = await threads('layotto.runtime', 'layotto.runtime', 'layotto.slot.slot-1');
  if (!one || !two || !three) throw new Error('no filters');
  pass(5, one, two, three);
  expect(modules(one)).toEqual({});
  // From here on the second has no more ticks.
  pass(2, one, three);
  expect(modules(one)).toEqual({});
  pass(2, one, three);
  expect(modules(one)).toEqual({ 'layotto.runtime': said('1 time,', 4) });

  const reloaded = await filterOf('layotto.runtime');
  join(reloaded, one);
  pass(4, one, reloaded);
  const now = { 'layotto.runtime': said('1 time,', 8), 'layotto.slot.slot-1': said('1 time,', 4) };
  expect(modules(reloaded)).toEqual(now);
  expect(modules(one)).toEqual(now);
  pass(4, reloaded);
  expect(modules(reloaded)['layotto.runtime']).toBe(said('2 times, last', 4));
  // Those that are left are watched as before.
  const last = await filterOf('layotto.runtime');
  join(last, reloaded);
  pass(1, reloaded, last);
  pass(4, last);
  expect(modules(last)['layotto.runtime']).toBe(said('3 times, last', 4));
});

test('a trap in the first call is counted, before there was a tick', async () => {
  const [one, two] = await threads('layotto.runtime', 'layotto.runtime');
  if (!one || !two) throw new Error('no filters');
  two.getState('k');
  pass(4, one);
  expect(modules(one)).toEqual({ 'layotto.runtime': said('1 time,', 4) });
});

test('a trial run, and a VM whose root contexts have gone, are no traps', async () => {
  const [one, two, trial] = await threads('layotto.runtime', 'layotto.runtime', 'layotto.runtime');
  if (!one || !two || !trial) throw new Error('no filters');
  pass(1, one, two);
  const next = two.host.addRoot(JSON.stringify(configuration()));
  two.host.removeRoot(two.root);
  // The other root context stays on the roll.
  two.host.advance(next.root, 500);
  pass(2, one);
  two.host.advance(next.root, 2_500);
  two.host.removeRoot(next.root);
  pass(6, one);
  expect(modules(one)).toEqual({});
});

test('who was only slow is taken back, and a process that stood still has no traps', async () => {
  const [one, two] = await threads('layotto.runtime', 'layotto.runtime');
  if (!one || !two) throw new Error('no filters');
  pass(1, one, two);
  pass(4, one);
  expect(modules(one)).toEqual({ 'layotto.runtime': said('1 time,', 4) });
  two.host.nowNs = one.host.nowNs;
  pass(1, two, one);
  expect(modules(one)).toEqual({});

  for (const filter of [one, two]) filter.host.nowNs += 60_000_000_000n;
  // Who wakes first does not judge the other.
  one.advance(100);
  expect(modules(one)).toEqual({});
  two.advance(100);
  pass(1, one, two);
  expect(modules(one)).toEqual({});
});

test('of more machines than it has room for, those that come last are not watched', async () => {
  const [one] = await threads('layotto.runtime');
  if (!one) throw new Error('no filter');
  const records = Buffer.alloc(256 * 64);
  for (let at = 0; at < records.length; at += 64) {
    records.writeBigUInt64LE(BigInt(at + 1), at);
    records.writeBigUInt64LE(one.host.nowNs / 1_000n, at + 8);
  }
  one.host.sharedData.set('layotto.roll', { value: records, cas: 1 });
  pass(1, one);
  expect(one.host.sharedData.get('layotto.roll')?.value).toEqual(records);
});

test('data that somebody else wrote there harms nobody', async () => {
  const [one] = await threads('layotto.runtime');
  if (!one) throw new Error('no filter');
  one.host.sharedData.set('layotto.roll', { value: Buffer.alloc(1000, 0xff), cas: 1 });
  pass(2, one);
  expect(one.http('GET', '/actuator/health/liveness').answer?.status).toBe(200);
  expect(Object.keys(modules(one)).length).toBeLessThan(16);
});
