import { pino } from 'pino';
import * as z from 'zod';

import { eventually, sleep } from '../../../test/support/wait.js';
import type { ComponentConfig } from '../config/types.js';
import type { Component, ComponentContext, ComponentType } from './component.js';
import { ComponentRegistry } from './registry.js';
import type { Applied } from './registry.js';
import type { ComponentHealth } from './slot.js';

/** A component that remembers what it was opened with, and whether it was closed. */
interface TestComponent extends Component {
  settings: string;
  closed: boolean;
}

describe('ComponentRegistry.apply', () => {
  let registry: ComponentRegistry;
  let opened: TestComponent[];
  let health: ComponentHealth[];
  let replaced: string[];
  /** Settings that cannot be reached. */
  let away: Set<string>;

  function config(name: string, settings: string, type = 'state.test'): ComponentConfig {
    const origin = { file: 'test', line: 0 };
    return { name, type, version: 'v1', primitive: 'state', form: 'native', metadata: { settings }, origin };
  }

  async function open({ metadata }: ComponentContext): Promise<Component> {
    const settings = metadata['settings'] ?? '';
    if (away.has(settings)) throw new Error(`no answer at ${settings}`);
    const component: TestComponent = {
      settings,
      closed: false,
      async close() {
        this.closed = true;
      },
    };
    opened.push(component);
    return component;
  }

  async function start(...components: ComponentConfig[]): Promise<void> {
    const type = (name: string): ComponentType => ({
      type: name,
      primitive: 'state',
      capabilities: [],
      metadata: z.strictObject({}),
      load: () => Promise.resolve({ open }),
    });
    registry = new ComponentRegistry({
      components,
      types: [type('state.test'), type('state.other')],
      dataDir: '/data',
      log: pino({ enabled: false }),
      onHealth: (changed) => health.push(changed),
      onReplaced: ({ metadata }) => replaced.push(metadata['settings'] ?? ''),
    });
    registry.start();
    await registry.firstTries(5_000);
  }

  const apply = (components: ComponentConfig[], removeOthers = true, waitMs = 300): Promise<Applied[]> =>
    registry.apply(components, { removeOthers, waitMs });

  const inUse = (name: string): string | undefined =>
    (registry.find('state', name)?.instance as TestComponent | undefined)?.settings;

  const closedOnes = (): string[] => opened.filter(({ closed }) => closed).map(({ settings }) => settings);

  beforeEach(() => {
    opened = [];
    health = [];
    replaced = [];
    away = new Set();
  });

  afterEach(() => registry.close());

  it('adds, replaces and removes, and leaves alone what stays the same', async () => {
    await start(config('a', '1'), config('b', '1'), config('c', '1'));
    const [a] = opened;
    const moved = { ...config('a', '1'), origin: { file: 'other', line: 9 } };
    expect(await apply([config('d', '1'), moved, config('b', '2')])).toEqual([
      { primitive: 'state', name: 'd', outcome: 'added' },
      { primitive: 'state', name: 'a', outcome: 'unchanged' },
      { primitive: 'state', name: 'b', outcome: 'replaced' },
      { primitive: 'state', name: 'c', outcome: 'removed' },
    ]);
    expect(['a', 'b', 'c', 'd'].map(inUse)).toEqual(['1', '2', undefined, '1']);
    expect(registry.find('state', 'c')).toBeUndefined();
    expect(registry.find('state', 'a')?.instance).toBe(a);
    await eventually('what is not used any more is closed', () => closedOnes().length === 2);
    expect(a?.closed).toBe(false);
    expect(replaced).toEqual(['2']);
  });

  it('removes nothing unless it is told to', async () => {
    await start(config('a', '1'), config('b', '1'));
    expect(await apply([config('b', '2')], false)).toMatchObject([{ name: 'b', outcome: 'replaced' }]);
    expect(inUse('a')).toBe('1');
  });

  it('takes other versions and types for other settings', async () => {
    await start(config('a', '1'));
    expect(await apply([config('a', '1', 'state.other')])).toMatchObject([{ outcome: 'replaced' }]);
    expect(await apply([{ ...config('a', '1', 'state.other'), version: 'v2' }])).toMatchObject([
      { outcome: 'replaced' },
    ]);
    expect(registry.health()).toMatchObject([{ name: 'a', type: 'state.other', status: 'ready' }]);
  });

  it('lets the old settings serve while nothing answers by the new ones, which it goes on trying', async () => {
    await start(config('a', '1'));
    away.add('2');
    expect(await apply([config('a', '2')])).toEqual([
      { primitive: 'state', name: 'a', outcome: 'kept', reason: 'no answer at 2' },
    ]);
    expect(inUse('a')).toBe('1');
    expect(registry.health()).toMatchObject([{ status: 'ready' }]);
    // The same again asks for nothing new.
    expect(await apply([config('a', '2')])).toMatchObject([{ outcome: 'kept' }]);
    away.clear();
    await eventually('the new settings are in use', () => inUse('a') === '2');
    expect(replaced).toEqual(['2']);
    await eventually('the old component is closed', () => closedOnes().includes('1'));
    expect(health.every(({ status }) => status === 'ready')).toBe(true);
  });

  it('gives up new settings when the old ones are given back, or others', async () => {
    await start(config('a', '1'));
    away.add('2');
    const first = apply([config('a', '2')], true, 20_000);
    await sleep(20);
    expect(await apply([config('a', '1')])).toMatchObject([{ outcome: 'unchanged' }]);
    expect(await first).toMatchObject([{ outcome: 'kept', reason: 'other settings have come since' }]);
    away.clear();
    const second = apply([config('a', '3')], true, 20_000);
    expect(await apply([config('a', '4')])).toMatchObject([{ outcome: 'replaced' }]);
    await second;
    await sleep(300);
    expect(inUse('a')).toBe('4');
    expect(opened.map(({ settings }) => settings)).not.toContain('2');
  });

  it('replaces at once what is not ready: it has nothing to lose', async () => {
    away.add('1').add('2');
    await start(config('a', '1'));
    expect(await apply([config('a', '2')])).toMatchObject([
      { outcome: 'replaced', reason: 'no answer at 2' },
    ]);
    expect(registry.health()).toMatchObject([{ status: 'connecting', reason: 'no answer at 2' }]);
    expect(await apply([config('a', '3')])).toEqual([{ primitive: 'state', name: 'a', outcome: 'replaced' }]);
  });

  it('adds what cannot be reached yet, as at the start, and says why it is not ready', async () => {
    await start();
    away.add('1');
    expect(await apply([config('a', '1')])).toMatchObject([{ outcome: 'added', reason: 'no answer at 1' }]);
    expect(registry.find('state', 'a')?.reason).toBe('no answer at 1');
    away.clear();
    await eventually('it is ready', () => inUse('a') === '1');
  });

  it('closes what it replaced only when the calls that use it have ended', async () => {
    await start(config('a', '1'));
    const slot = registry.find('state', 'a');
    slot?.hold();
    slot?.hold();
    await apply([config('a', '2')]);
    slot?.release();
    await sleep(20);
    expect(slot?.instance).toBe(opened[0]);
    expect(closedOnes()).toEqual([]);
    slot?.release();
    await eventually('it is closed', () => closedOnes().includes('1'));
    expect([slot?.instance, slot?.reason]).toEqual([undefined, 'other settings have taken its place']);
  });

  it('closes everything with itself, also what it had only tried or was still used', async () => {
    await start(config('a', '1'), config('b', '1'));
    registry.find('state', 'b')?.hold();
    away.add('2');
    await apply([config('a', '2')]);
    await registry.close();
    expect(closedOnes()).toHaveLength(2);
    const count = opened.length;
    away.clear();
    await sleep(300);
    expect(opened).toHaveLength(count);
  });
});
