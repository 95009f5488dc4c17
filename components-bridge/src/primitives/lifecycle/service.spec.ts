import * as z from 'zod';

import { refused } from '../../../../test/conformance/state-client.js';
import { Rooms } from '../../../../test/support/rooms.js';
import type { RoomComponent, RoomsOptions } from '../../../../test/support/rooms.js';
import { eventually } from '../../../../test/support/wait.js';
import * as hello from '../../gen/layotto/bridge/v1/hello_pb.js';
import * as pb from '../../gen/layotto/bridge/v1/lifecycle_pb.js';
import type { Component, ComponentContext, ComponentType } from '../component.js';
import { Code } from '../errors.js';

describe('ApplyConfiguration', () => {
  let rooms: Rooms;
  let closed: string[];
  /** Ends what hangs: a slow greeting, or a late opening. */
  let release: () => void;

  /** Greets slowly, and cannot be opened with some greetings. */
  const type: ComponentType = {
    type: 'hello.slow',
    primitive: 'hello',
    capabilities: [],
    metadata: z.strictObject({
      hello: z.string(),
      nearCacheMaxAge: z.string().optional(),
      segmentCacheEnable: z.string().optional(),
      level: z.string().regex(/^\d$/, 'expected a digit').optional(),
    }),
    load: () => Promise.resolve({ open }),
  };

  async function open({ metadata }: ComponentContext): Promise<Component> {
    const { hello: greeting = '' } = metadata;
    if (greeting === 'unreachable') throw new Error('connect ECONNREFUSED');
    if (greeting === 'late') await new Promise<void>((resolve) => (release = resolve));
    return {
      async greet(name: string) {
        if (name === 'slow') await new Promise<void>((resolve) => (release = resolve));
        return greeting;
      },
      async close() {
        closed.push(greeting);
      },
    } as Component;
  }

  async function start(component: Partial<RoomComponent> = {}, options: RoomsOptions = {}): Promise<void> {
    closed = [];
    const all = { name: 'h', type: 'hello.slow', metadata: { hello: 'one' }, ...component };
    rooms = await Rooms.open([all], { types: [type], ...options });
  }

  afterEach(() => rooms.close());

  function apply(
    metadata: Record<string, string>,
    { kind = 'hellos', name = 'h', deadlineMs = 15_000 } = {},
  ): Promise<unknown> {
    const schemas = [pb.DynamicConfigurationSchema, pb.ApplyConfigurationResponseSchema] as const;
    const request = { componentConfig: { kind, name, metadata } };
    return rooms.call('Lifecycle/ApplyConfiguration', schemas, request, { deadlineMs });
  }

  async function greet(name = ''): Promise<string> {
    const schemas = [hello.SayHelloRequestSchema, hello.SayHelloResponseSchema] as const;
    return (await rooms.call('Hellos/SayHello', schemas, { serviceName: 'h', name })).hello;
  }

  it('gives a component new settings, and closes the old one', async () => {
    await start();
    await apply({ HELLO: 'two' });
    expect(await greet()).toBe('two');
    await eventually('the old one is closed', () => closed.includes('one'));
    await apply({ hello: 'two' });
    expect(closed).toEqual(['one']);
  });

  it('lets calls in flight end on the old one', async () => {
    await start();
    const slow = greet('slow');
    await apply({ hello: 'two' });
    expect(await greet()).toBe('two');
    expect(closed).toEqual([]);
    release();
    expect(await slow).toBe('one');
    await eventually('the old one is closed', () => closed.includes('one'));
  });

  it('takes the settings as all there are', async () => {
    await start({ metadata: { hello: 'one', level: '3' } });
    await apply({ hello: 'two' });
    expect(rooms.registry.find('hello', 'h')?.config.metadata).toEqual({ hello: 'two' });
    expect(await refused(apply({ level: '3' }))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining('metadata.hello: ') as string,
    });
    expect(await greet()).toBe('two');
  });

  it.each([
    [
      { hello: 'x', helo: 'y' },
      /^metadata\.helo: unknown metadata key of hello\.slow; did you mean "hello"\?$/,
    ],
    [{ hello: 'x', level: 'high' }, /^metadata\.level: expected a digit, found "high"$/],
    [{ hello: 'x', Hello: 'y' }, /^metadata\.Hello: given twice/],
    [
      { hello: 'x', nearCacheMaxAge: '5s' },
      /^metadata\.nearCacheMaxAge: can only be changed in the configuration/,
    ],
    [
      { hello: 'x', segmentCacheEnable: 'true' },
      /^metadata\.segmentCacheEnable: can only be changed in the configuration/,
    ],
  ])('changes nothing for settings that are wrong: %p', async (metadata, message) => {
    await start();
    const refusal = await refused(apply(metadata));
    expect(refusal.code).toBe(Code.INVALID_ARGUMENT);
    expect(refusal.message).toMatch(message);
    expect(await greet()).toBe('one');
  });

  it('changes nothing for settings that cannot be used, and does not come back to them', async () => {
    await start();
    expect(await refused(apply({ hello: 'unreachable' }))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: 'the new settings of h cannot be used, the old ones stay: connect ECONNREFUSED',
    });
    expect(await greet()).toBe('one');
    expect(rooms.registry.health()).toEqual([
      { primitive: 'hello', name: 'h', type: 'hello.slow', status: 'ready' },
    ]);
  });

  it('gives up before its caller does', async () => {
    await start();
    const refusal = await refused(apply({ hello: 'late' }, { deadlineMs: 700 }));
    expect(refusal).toMatchObject({ code: Code.FAILED_PRECONDITION });
    expect(refusal.message).toMatch(/it is still connecting$/);
    expect(await greet()).toBe('one');
    // What comes too late is not used.
    release();
    await eventually('it is closed', () => closed.includes('late'));
    expect(await greet()).toBe('one');
  });

  it('does not replace a component that is not ready by one that is not either', async () => {
    await start({ metadata: { hello: 'unreachable' } }, { wait: false });
    expect(await refused(apply({ hello: 'unreachable', level: '1' }))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
    expect(rooms.registry.find('hello', 'h')?.config.metadata).toEqual({ hello: 'unreachable' });
    await apply({ hello: 'two' });
    expect(await greet()).toBe('two');
  });

  it.each([
    ['hellos', 'nope'],
    ['state', 'h'],
    ['hello', 'h'],
    ['custom_component.x', 'h'],
    ['toString', 'h'],
  ])('finds no component of kind %s and name %s', async (kind, name) => {
    await start();
    expect(await refused(apply({ hello: 'x' }, { kind, name }))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: `component not found. kind: ${kind} , name: ${name}`,
    });
  });

  it('is refused where the app may not', async () => {
    let may = false;
    await start({}, { mayApply: () => may });
    expect(await refused(apply({ hello: 'two' }))).toMatchObject({ code: Code.PERMISSION_DENIED });
    expect(await greet()).toBe('one');
    may = true;
    await apply({ hello: 'two' });
    expect(await greet()).toBe('two');
  });

  it('gives way to the configuration', async () => {
    await start();
    const written = rooms.registry.find('hello', 'h')?.config;
    await apply({ hello: 'two' });
    await rooms.registry.apply(written === undefined ? [] : [written], { removeOthers: true, waitMs: 1_000 });
    expect(await greet()).toBe('one');
  });

  it('does not keep what came from secret stores', async () => {
    process.env['LIFECYCLE_SPEC_greeting'] = 'from a secret';
    const store = { name: 'vault', type: 'secretstores.local.env', metadata: { prefix: 'LIFECYCLE_SPEC_' } };
    const secretRefs = [{ injectAs: 'hello', store: 'vault', name: 'greeting', key: 'greeting' }];
    closed = [];
    rooms = await Rooms.open([store, { name: 'h', type: 'hello.slow', secretRefs }], { types: [type] });
    delete process.env['LIFECYCLE_SPEC_greeting'];
    expect(await greet()).toBe('from a secret');
    await apply({ hello: 'two' });
    expect(rooms.registry.find('hello', 'h')?.config).not.toHaveProperty('secretRefs');
  });
});
