import { jest } from '@jest/globals';
import { pino } from 'pino';
import * as z from 'zod';

import { eventually } from '../../../test/support/wait.js';
import type { ComponentConfig } from '../config/types.js';
import type { Component, ComponentContext, ComponentType } from './component.js';
import { ComponentRegistry } from './registry.js';
import type { ComponentHealth } from './slot.js';

describe('ComponentRegistry', () => {
  let registry: ComponentRegistry;
  let changes: ComponentHealth[];

  afterEach(() => registry.close());

  function build(open: (context: ComponentContext) => Promise<Component>, name = 'one'): void {
    changes = [];
    const type: ComponentType = {
      type: 'state.test',
      primitive: 'state',
      capabilities: [],
      metadata: z.strictObject({}),
      load: () => Promise.resolve({ open }),
    };
    registry = new ComponentRegistry({
      components: [config(name)],
      types: [type],
      dataDir: '/data',
      log: pino({ enabled: false }),
      onHealth: (health) => changes.push(health),
    });
  }

  function config(name: string, type = 'state.test'): ComponentConfig {
    const origin = { file: 'test', line: 0 };
    return { name, type, version: 'v1', primitive: 'state', form: 'native', metadata: { a: 'b' }, origin };
  }

  const closing = (): Component & { closed: number } => ({
    closed: 0,
    async close() {
      this.closed++;
    },
  });

  it('opens in the background, with what was configured', async () => {
    const component = closing();
    const open = jest.fn((_: ComponentContext) => Promise.resolve(component));
    build(open);
    expect(registry.health()).toEqual([
      { primitive: 'state', name: 'one', type: 'state.test', status: 'connecting' },
    ]);
    registry.start();
    registry.start();
    expect(registry.find('state', 'one')?.instance).toBeUndefined();
    await eventually('it is ready', () => registry.find('state', 'one')?.instance === component);
    expect(open).toHaveBeenCalledTimes(1);
    expect(open.mock.calls[0]?.[0]).toMatchObject({ name: 'one', metadata: { a: 'b' }, dataDir: '/data' });
    expect(registry.find('lock', 'one')).toBeUndefined();
  });

  it('tries again until it opens, and says why it is not ready yet', async () => {
    const component = closing();
    let tries = 0;
    build(() => (++tries < 3 ? Promise.reject(new Error(`no answer ${tries}`)) : Promise.resolve(component)));
    registry.start();
    await eventually('the reason is known', () => registry.find('state', 'one')?.reason === 'no answer 1');
    await eventually('it is ready', () => registry.find('state', 'one')?.instance === component);
    expect(changes.map(({ status, reason }) => `${status} ${reason ?? ''}`)).toEqual([
      'connecting no answer 1',
      'connecting no answer 2',
      'ready ',
    ]);
  });

  it('hands out no component that says it lost its backend', async () => {
    let context: ComponentContext | undefined;
    build((given) => {
      context = given;
      // Before it is open there is nothing that could be lost.
      given.report('down', 'too early');
      return Promise.resolve(closing());
    });
    registry.start();
    const slot = registry.find('state', 'one');
    await eventually('it is ready', () => slot?.instance !== undefined);
    context?.report('down', 'cable pulled');
    expect(slot?.instance).toBeUndefined();
    expect(slot?.reason).toBe('cable pulled');
    context?.report('ready');
    expect(slot?.instance).toBeDefined();
    expect(changes.map(({ status }) => status)).toEqual(['ready', 'down', 'ready']);
  });

  it('closes what it opened, also what opens while it closes, and stops trying', async () => {
    const component = closing();
    let finish: (component: Component) => void = () => undefined;
    build(() => new Promise((resolve) => (finish = resolve)));
    registry.start();
    await new Promise(setImmediate);
    const closed = registry.close();
    finish(component);
    await closed;
    expect(component.closed).toBe(1);
    expect(registry.find('state', 'one')?.instance).toBeUndefined();

    let tries = 0;
    build(() => Promise.reject(new Error(`try ${++tries}`)));
    registry.start();
    await eventually('it has tried', () => tries === 1);
    await registry.close();
    expect(tries).toBe(1);
  });

  it('goes on when a component does not close', async () => {
    build(() => Promise.resolve({ close: () => Promise.reject(new Error('stuck')) }));
    registry.start();
    await eventually('it is ready', () => registry.find('state', 'one')?.instance !== undefined);
    await registry.close();
  });

  it('says of a type it does not know that it is not served', async () => {
    registry = new ComponentRegistry({
      components: [config('x', 'state.other')],
      types: [],
      dataDir: '/data',
      log: pino({ enabled: false }),
    });
    registry.start();
    await eventually('the reason is known', () =>
      registry.find('state', 'x')?.reason.includes('does not serve the component type state.other'),
    );
  });
});
