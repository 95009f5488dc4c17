import { jest } from '@jest/globals';

import type { ComponentConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { Applied } from './bridge-child.js';
import { UserError } from './errors.js';
import { LiveConfig } from './live-config.js';

/** What was asked of the parts, in order. */
let steps: string[];
let said: string[];
let written: RuntimeConfig[];
/** Components that cannot be reached by their new settings. */
let away: Set<string>;
let failing: { replace?: string; push?: string; ways?: string };
let live: LiveConfig;

function component(name: string, redisHost = ''): ComponentConfig {
  const metadata: Record<string, string> = redisHost === '' ? {} : { redisHost };
  const type = redisHost === '' ? 'state.embedded' : 'state.redis';
  const origin = { file: 'c.yaml', line: 1 };
  return { name, type, version: 'v1', primitive: 'state', form: 'native', metadata, origin };
}

function config(...components: ComponentConfig[]): RuntimeConfig {
  return {
    source: 'c.yaml',
    app: { id: 'shop', port: 0, protocol: 'http' },
    listen: { host: '127.0.0.1', port: 34904, hosts: [] },
    dataDir: '/data',
    limits: { messageBytes: 1, operations: 2, streams: 6, bytes: 3, cacheBytes: 4, deadlineMs: 5 },
    envoy: { concurrency: 2, metricsPort: 0 },
    modules: { slots: 0 },
    outbound: [],
    lifecycle: { apply: true },
    components,
  };
}

/** As short as it says what matters: names, with their host. */
function shown({ components }: RuntimeConfig): string {
  return components.map(({ name, metadata }) => name + (metadata['redisHost'] ?? '')).join(',');
}

function start(running: RuntimeConfig): void {
  let known = new Set(running.components.map(({ name }) => name));
  live = new LiveConfig(
    {
      bridge: {
        apply: async (wanted, { removeOthers }) => {
          steps.push(`bridge ${removeOthers ? 'only ' : ''}${shown(wanted)}`);
          return wanted.components.map(({ primitive, name, metadata }): Applied => {
            if (away.has(metadata['redisHost'] ?? ''))
              return { primitive, name, outcome: 'kept', reason: 'no answer' };
            const outcome = known.has(name) ? 'unchanged' : 'added';
            known = new Set(known).add(name);
            return { primitive, name, outcome };
          });
        },
        replace: async () => {
          steps.push(`replace by ${shown(written.at(-1) ?? running)}`);
          if (failing.replace !== undefined) throw new UserError(failing.replace);
        },
      },
      writeConfig: (wanted) => void written.push(wanted),
      pushWays: async ({ callees = {} }) => {
        steps.push(`ways ${Object.keys(callees).join(',')}`);
        return failing.ways;
      },
      pushFilter: async (wanted) => {
        steps.push(`filter ${shown(wanted)}`);
        return failing.push;
      },
      say: (line) => void said.push(line),
    },
    running,
  );
}

beforeEach(() => {
  [steps, said, written, away, failing] = [[], [], [], new Set(), {}];
});

it('lets the bridge know what is new before the filter, and the filter what is gone before the bridge', async () => {
  start(config(component('a'), component('b')));
  await live.apply(config(component('b'), component('c')));
  expect(steps).toEqual(['bridge b,c', 'filter b,c', 'bridge only b,c']);
  expect(said).toEqual(['c: added', 'a: removed']);
  expect(written.map(shown)).toEqual(['b,c']);
  expect(shown(live.effective)).toBe('b,c');
});

it('does nothing when nothing changes, and says of what needs a restart that it does', async () => {
  const running = config(component('a'));
  start(running);
  await live.apply({ ...running, listen: { ...running.listen, port: 1 } });
  expect(steps).toEqual([]);
  expect(said).toEqual([
    'listen.port: needs a restart to change from 34904 to 1; it stays as it is',
    'the configuration was read again; nothing that is running changes',
  ]);
});

it('leaves the filter with the old component while the new one cannot be reached', async () => {
  start(config(component('a', ':1')));
  away.add(':2');
  await live.apply(config(component('a', ':2'), component('b')));
  expect(steps).toEqual(['bridge a:2,b', 'filter a:1,b']);
  expect(said[0]).toBe('a: the old settings go on serving, the new ones are tried on: no answer');
  expect(written.map(shown)).toEqual(['a:2,b']);
  // The bridge got through to it.
  live.replaced('state', 'a');
  live.replaced('state', 'a');
  live.replaced('state', 'b');
  await live.apply(config(component('a', ':2'), component('b')));
  expect(steps.slice(2)).toEqual(['filter a:2,b']);
  expect(said.filter((line) => line === 'a: the new settings are in use now')).toHaveLength(1);
});

it('takes the old settings back', async () => {
  start(config(component('a', ':1')));
  away.add(':2');
  await live.apply(config(component('a', ':2')));
  await live.apply(config(component('a', ':1')));
  expect(steps.slice(2)).toEqual(['bridge a:1', 'filter a:1']);
  live.replaced('state', 'a');
  live.restarted();
  await live.takeOver();
  expect(steps.slice(4)).toEqual(['replace by a:1']);
});

it('has the filter follow a bridge that was started again with everything', async () => {
  start(config(component('a', ':1')));
  away.add(':2');
  await live.apply(config(component('a', ':2')));
  live.restarted();
  await live.takeOver();
  expect(steps.slice(2)).toEqual(['filter a:2', 'replace by a:2']);
});

it('replaces the bridge for other limits, with what it serves, before anything else', async () => {
  const running = config(component('a', ':1'));
  start(running);
  away.add(':2');
  const limits = { ...running.limits, operations: 20, cacheBytes: 40 };
  await live.apply({ ...config(component('a', ':2')), limits });
  expect(steps).toEqual(['replace by a:1', 'bridge a:2', 'filter a:1']);
  expect(written.map(({ limits: { operations } }) => operations)).toEqual([20, 20]);
  expect(said.slice(1)).toEqual(['limits.cacheBytes: now 40', 'limits.operations: now 20']);
});

it('keeps the limits when the bridge cannot be replaced, and takes over the rest', async () => {
  const running = config(component('a'));
  start(running);
  failing.replace = 'the new bridge ended';
  const limits = { ...running.limits, operations: 20 };
  await live.apply({ ...config(component('a'), component('b')), limits });
  expect(said).toEqual(['the new bridge ended', 'b: added']);
  expect(written.at(-1)?.limits.operations).toBe(2);
  expect(live.effective.limits.operations).toBe(2);
});

it('tries settings that cannot be reached yet with a new bridge too, which starts with the old ones', async () => {
  start(config(component('a', ':1')));
  away.add(':2');
  await live.apply(config(component('a', ':2')));
  await live.takeOver();
  expect(steps.slice(2)).toEqual(['replace by a:1', 'bridge a:2']);
  expect(written.map(shown)).toEqual(['a:2', 'a:1', 'a:2']);
});

it('says when the filter does not follow', async () => {
  start(config(component('a')));
  failing.push = 'Envoy refused it';
  await live.apply(config(component('a'), component('b')));
  expect(said).toEqual(['the filter keeps its configuration: Envoy refused it', 'b: added']);
});

const calling = (...names: string[]): RuntimeConfig => ({
  ...config(component('a')),
  callees: Object.fromEntries(names.map((name) => [name, { to: [{ host: name, port: 1 }] }])),
});

it('opens the ways to callees before the filter knows them, and closes them after it has forgotten them', async () => {
  start(calling('x', 'y'));
  await live.apply(calling('y', 'z'));
  expect(steps).toEqual(['ways x,y,z', 'bridge a', 'filter a', 'ways y,z']);
  expect(said).toEqual(['callees.x: removed', 'callees.z: added']);
  const { callees, ...without } = calling('y');
  await live.apply({ ...without, callees: { y: { ...callees?.['y'], to: [{ host: 'y', port: 2 }] } } });
  await live.apply(without);
  expect(steps.slice(4)).toEqual([
    'ways y,z',
    'bridge a',
    'filter a',
    'ways y',
    'ways y',
    'bridge a',
    'filter a',
    'ways ',
  ]);
  expect(said.slice(2)).toEqual([
    'callees.y: the new settings are in use',
    'callees.z: removed',
    'callees.y: removed',
  ]);
  expect(live.effective).not.toHaveProperty('callees');
});

it('keeps the callees when Envoy does not take their ways over, and takes over the rest', async () => {
  start(calling('x'));
  failing.ways = 'Envoy refused it';
  await live.apply({ ...calling('y'), components: [component('a'), component('b')] });
  expect(steps).toEqual(['ways x,y', 'bridge a,b', 'filter a,b']);
  expect(said).toEqual(['callees: calls go on going where they went: Envoy refused it', 'b: added']);
  expect(Object.keys(live.effective.callees ?? {})).toEqual(['x']);
  expect(Object.keys(written.at(-1)?.callees ?? {})).toEqual(['x']);
});

it('has the ways follow the policy: calls that no rule is about pass by others', async () => {
  const running = {
    ...config(component('a')),
    callees: { orders: { to: [{ host: '127.0.0.1', port: 1 }] } },
  };
  start(running);
  const policy = { default: 'deny' as const, trustDomain: 'cluster.local', rules: [] };
  await live.apply({ ...running, policy });
  expect(steps).toEqual(['bridge a', 'filter a', 'ways orders']);
  steps.length = 0;
  failing.push = 'it is refused';
  await live.apply(running);
  expect(steps).toEqual(['bridge a', 'filter a']);
});

it('tries on until the ways follow a policy', async () => {
  jest.useFakeTimers();
  const running = {
    ...config(component('a')),
    callees: { orders: { to: [{ host: '127.0.0.1', port: 1 }] } },
  };
  const policy = { default: 'deny' as const, trustDomain: 'cluster.local', rules: [] };
  try {
    start(running);
    failing.ways = 'it is full';
    await live.apply({ ...running, policy });
    await jest.advanceTimersByTimeAsync(11_000);
    expect(steps).toEqual(['bridge a', 'filter a', 'ways orders', 'ways orders', 'ways orders']);
    delete failing.ways;
    await jest.advanceTimersByTimeAsync(20_000);
    expect(steps).toHaveLength(6);
    expect(said).toEqual([
      'policy: does not hold for calls to other apps yet, trying on: it is full',
      'policy: now 0 rules, deny by default',
      'policy: holds for calls to other apps, too, now',
    ]);
    failing.ways = 'it is full';
    await live.apply(running);
    live.end();
    steps.length = 0;
    await jest.advanceTimersByTimeAsync(20_000);
    expect(steps).toEqual([]);
  } finally {
    jest.useRealTimers();
  }
});
