import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { functionSlots } from '../../components-bridge/src/config/slots.js';
import { SAMPLE_CONFIG } from '../../envoy/samples.js';
import { tinyFunction, tinyModule } from '../../test/support/tiny-module.js';
import { UserError } from './errors.js';
import { functionOptions, Functions } from './functions.js';
import type { FunctionOptions } from './functions.js';
import { ModuleSlots } from './module-slots.js';
import type { PushOptions } from './module-slots.js';
import { ModuleStore } from './module-store.js';

const { limits } = SAMPLE_CONFIG;
const defaults = { bodyBytes: 1024 ** 2, inFlight: 100, deadlineMs: 15_000 };

/** Slots whose modules are not tried: that takes a thread of the built command, and has tests with a real Envoy. */
class UntriedSlots extends ModuleSlots {
  /** What would have been tried, in order. */
  readonly tried: string[] = [];

  override push(slot: string, wasm: Uint8Array, options: PushOptions): Promise<string> {
    const { tryOut, ...rest } = options;
    if (tryOut !== undefined) this.tried.push(slot);
    return super.push(slot, wasm, rest);
  }
}

let dataDir: string;
let store: ModuleStore;
let modules: UntriedSlots;
let functions: Functions;
/** What Envoy says of the next push; undefined: it takes it. */
let refusal: string | undefined;
/** Slots in the order in which Envoy took something over. */
let delivered: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'layotto-functions-'));
  refusal = undefined;
  delivered = [];
  store = new ModuleStore(dataDir, (line) => {
    throw new Error(line);
  });
  const slots = functionSlots(2);
  let last: Promise<unknown> = Promise.resolve();
  modules = new UntriedSlots({
    store,
    slots: ['runtime', 'slot-1', ...slots],
    offer: () => Promise.resolve({ version: '0.1.0', protocol: 1, services: [] }),
    deliver: (slot) => {
      delivered.push(slot);
      return Promise.resolve(refusal);
    },
    restore: async () => undefined,
    working: () => Promise.resolve(undefined),
    traps: () => Promise.resolve(new Map()),
    rollbackOnTrap: undefined,
    exclusively: (work) => {
      const done = last.then(work);
      last = done.catch(() => undefined);
      return done;
    },
    say: () => undefined,
  });
  functions = new Functions(modules, slots, limits, () => '');
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const push = (version: string, options: FunctionOptions) =>
  functions.push(tinyFunction('stock', version), options);
/** Where each function is, with the versions that it had. */
const placed = () =>
  functions
    .list()
    .map(({ slot, settings, history }) => [
      slot,
      settings.id,
      ...history.map((title) => title.replace(/ \(.*/, '')),
    ]);

describe('what the command sends', () => {
  it('is read', () => {
    const sent = new URLSearchParams({
      ...{ id: 'stock', path: '/stock', bodyBytes: '5', inFlight: '6', deadlineMs: '7' },
      ...{ rollbackOnTrap: '3 in 60s', try: 'no' },
    });
    expect(functionOptions(sent)).toEqual({
      ...{ id: 'stock', path: '/stock', bodyBytes: 5, inFlight: 6, deadlineMs: 7 },
      ...{ rollbackOnTrap: { traps: 3, withinMs: 60_000 }, tryCall: false },
    });
  });

  it('leaves open what it does not have, and an empty path is one', () => {
    expect(functionOptions(new URLSearchParams({ id: 'stock' }))).toEqual({ id: 'stock', tryCall: true });
    expect(functionOptions(new URLSearchParams({ id: 'stock', path: '' })).path).toBe('');
  });
});

describe('a push', () => {
  it('puts each function into a place of its own', async () => {
    expect(await push('1', { id: 'stock', path: '/stock' })).toMatch(
      /^function stock: stock 1 \(\w{12}\) serves now$/,
    );
    expect(await push('1', { id: 'price' })).toMatch(/^function price: /);
    expect(functions.list()).toMatchObject([
      { slot: 'function-1', settings: { ...defaults, id: 'stock', path: '/stock' }, traps: 0 },
      { slot: 'function-2', settings: { ...defaults, id: 'price' }, traps: 0 },
    ]);
    expect(modules.tried).toEqual(['function-1', 'function-2']);
    expect(modules.list().map(({ history }) => history.length)).toEqual([0, 0]);
  });

  it('of an id that is there puts another version in its place, and what is not said stays', async () => {
    await push('1', { id: 'price' });
    await push('1', { id: 'stock', path: '/stock', inFlight: 5 });
    await push('2', { id: 'stock', deadlineMs: 50 });
    expect(placed()).toEqual([
      ['function-1', 'price', 'stock 1'],
      ['function-2', 'stock', 'stock 1', 'stock 2'],
    ]);
    const stock = { ...defaults, id: 'stock', path: '/stock', inFlight: 5, deadlineMs: 50 };
    expect(functions.list()[1]?.settings).toEqual(stock);
    await push('2', { id: 'stock', path: '' });
    expect(functions.list()[1]?.settings).not.toHaveProperty('path');
  });

  it('keeps when it is to be rolled back', async () => {
    await push('1', { id: 'stock', rollbackOnTrap: { traps: 3, withinMs: 1000 } });
    expect(store.history('function-1').at(-1)?.rollbackOnTrap).toEqual({ traps: 3, withinMs: 1000 });
  });

  it('refuses the path of another function, and names that one', async () => {
    await push('1', { id: 'stock', path: '/stock' });
    await expect(push('1', { id: 'price', path: '/stock' })).rejects.toThrow(
      new UserError('the path /stock is that of function stock; choose another one'),
    );
    expect(placed()).toEqual([['function-1', 'stock', 'stock 1']]);
    await push('2', { id: 'stock', path: '/stock' });
    await push('1', { id: 'price', path: '/stock/price' });
    expect(placed().map(([, id]) => id)).toEqual(['stock', 'price']);
  });

  it('refuses one more function than there are places, and says how there are more', async () => {
    await push('1', { id: 'stock' });
    await push('1', { id: 'price' });
    await expect(push('1', { id: 'third' })).rejects.toThrow(
      new UserError(
        'all 2 places for functions are taken; take one out with layotto function remove, or raise functions.slots in layotto.yaml',
      ),
    );
    await push('2', { id: 'price' });
    expect(placed()).toEqual([
      ['function-1', 'stock', 'stock 1'],
      ['function-2', 'price', 'stock 1', 'stock 2'],
    ]);
  });

  it('refuses settings that are wrong before anything is tried', async () => {
    await expect(push('1', { id: 'a b' })).rejects.toThrow("found 'a b'");
    await expect(push('1', { id: 'stock', path: 'stock' })).rejects.toThrow("found 'stock'");
    await expect(push('1', { id: 'stock', bodyBytes: 1024 ** 3 })).rejects.toThrow('raise limits.message');
    expect([modules.tried, delivered, placed()]).toEqual([[], [], []]);
  });

  it('refuses a module that is no function', async () => {
    await expect(functions.push(tinyModule(), { id: 'stock' })).rejects.toThrow(
      new UserError('it is no function; layotto function build makes one of a source'),
    );
    expect([delivered, placed()]).toEqual([[], []]);
  });

  it('that Envoy refuses changes nothing', async () => {
    await push('1', { id: 'stock', path: '/stock' });
    refusal = 'no';
    await expect(push('2', { id: 'stock', path: '/other' })).rejects.toThrow('stock 2 (');
    expect(placed()).toEqual([['function-1', 'stock', 'stock 1']]);
    expect(functions.list()[0]?.settings.path).toBe('/stock');
  });

  it('at the same time as another one finds a place of its own', async () => {
    const pushed = await Promise.allSettled([
      push('1', { id: 'stock', path: '/stock' }),
      push('1', { id: 'price' }),
      push('1', { id: 'other', path: '/stock' }),
      push('1', { id: 'third' }),
      push('2', { id: 'price' }),
    ]);
    expect(pushed.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
    ]);
    expect(placed()).toEqual([
      ['function-1', 'stock', 'stock 1'],
      ['function-2', 'price', 'stock 1', 'stock 2'],
    ]);
  });
});

describe('a function that is there', () => {
  it('has the version before again, with the settings that it had', async () => {
    await push('1', { id: 'stock', path: '/stock', inFlight: 5 });
    await push('2', { id: 'stock', path: '/new', inFlight: 6 });
    expect(await functions.rollback('stock')).toMatch(/^function stock: stock 1 \(\w{12}\) serves again$/);
    expect(placed()).toEqual([['function-1', 'stock', 'stock 1']]);
    expect(functions.list()[0]?.settings).toEqual({ ...defaults, id: 'stock', path: '/stock', inFlight: 5 });
  });

  it('is not rolled back to nothing, and it says how it is taken out', async () => {
    await push('1', { id: 'stock' });
    await expect(functions.rollback('stock')).rejects.toThrow(
      new UserError(
        'function stock: there is nothing before what serves; layotto function remove takes it out',
      ),
    );
    expect(placed()).toEqual([['function-1', 'stock', 'stock 1']]);
  });

  it('is taken out, and its place is free for the next one', async () => {
    await push('1', { id: 'stock' });
    await push('1', { id: 'price' });
    await push('2', { id: 'stock' });
    expect(await functions.remove('stock')).toBe('function stock: removed');
    expect(placed()).toEqual([['function-2', 'price', 'stock 1']]);
    await push('1', { id: 'third' });
    expect(placed()).toEqual([
      ['function-1', 'third', 'stock 1'],
      ['function-2', 'price', 'stock 1'],
    ]);
  });

  it('is named by those that look for another one', async () => {
    const there = (known: string) => new UserError(`there is no function nobody; ${known}`);
    await expect(functions.remove('nobody')).rejects.toThrow(there('there are none'));
    await push('1', { id: 'stock' });
    await push('1', { id: 'price' });
    await expect(functions.remove('nobody')).rejects.toThrow(there('there are stock, price'));
    await expect(functions.rollback('nobody')).rejects.toThrow(there('there are stock, price'));
  });
});
