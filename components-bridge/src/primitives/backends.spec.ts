import { Exposition } from '../telemetry/exposition.js';
import { Secrets } from '../telemetry/secrets.js';
import { Backends } from './backends.js';
import type { BackendSeries, Wording } from './backends.js';
import { Call } from './call.js';
import type { Component } from './component.js';
import { Code, OperationError } from './errors.js';
import type { ComponentSlot } from './slot.js';

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', sampled: true };

const WORDING: Wording = {
  notReady: (slot) => new OperationError(Code.UNAVAILABLE, `not ready: ${slot.reason}`),
  failure: (error) => (error instanceof RangeError ? new OperationError(Code.ABORTED, error.message) : error),
};

describe('Backends', () => {
  const component: Component = {
    place: { system: 'redis', address: 'r', port: 6379 },
    close: () => Promise.resolve(),
  };
  let ready: boolean;
  const slot = {
    config: { name: 's', type: 'state.redis', primitive: 'state' },
    reason: 'lost',
    get instance() {
      return ready ? component : undefined;
    },
  } as ComponentSlot;
  let backends: Backends;

  beforeEach(() => {
    ready = true;
    const secrets = new Secrets();
    secrets.add('hunter2');
    backends = new Backends(secrets);
  });

  const call = (): Call => new Call('m', '', performance.now(), TRACE);
  const series = (): BackendSeries[] => [...backends.series];

  it('hands out the component, and times the question', async () => {
    const asking = call();
    const pause = (given: Component) => new Promise((resolve) => setTimeout(() => resolve(given), 20));
    expect(await backends.ask(asking, slot, 'get', pause, WORDING)).toBe(component);
    expect(asking.waitedMs(performance.now())).toBeGreaterThan(15);
    expect(series()).toMatchObject([{ component: 's', type: 'state.redis', operation: 'get' }]);
    expect(series()[0]?.durations.count).toBe(1);
    const text = new Exposition();
    series()[0]?.durations.write(text, 'x', {});
    expect(text.text).toMatch(/^x_bucket\{le="0.01"\} 0$/m);
    expect(text.text).toMatch(/^x_bucket\{le="10"\} 1$/m);
    expect([...(series()[0]?.failures ?? [])]).toEqual([]);
  });

  it('counts failures by code, and those of a bug as INTERNAL', async () => {
    const fails = (error: Error): Promise<unknown> =>
      backends
        .ask(call(), slot, 'set', () => Promise.reject(error), WORDING)
        .catch((failure: unknown) => failure);
    expect(await fails(new RangeError('no'))).toMatchObject({ code: Code.ABORTED, message: 'no' });
    await fails(new RangeError('again no'));
    const bug = new TypeError('undefined is not a function');
    expect(await fails(bug)).toBe(bug);
    expect([...(series()[0]?.failures ?? [])]).toEqual([
      [Code.ABORTED, 2],
      [Code.INTERNAL, 1],
    ]);
    expect(series()[0]?.durations.count).toBe(3);
  });

  it('does not ask what is not ready, and counts that without a time', async () => {
    ready = false;
    const asking = call();
    const asked = backends.ask(asking, slot, 'get', () => Promise.resolve(1), WORDING);
    await expect(asked).rejects.toMatchObject({ code: Code.UNAVAILABLE, message: 'not ready: lost' });
    expect([...(series()[0]?.failures ?? [])]).toEqual([[Code.UNAVAILABLE, 1]]);
    expect(series()[0]?.durations.count).toBe(0);
    expect(asking.asked).toMatchObject({ component: 's', failure: Code.UNAVAILABLE });
    expect(asking.asked?.place).toBeUndefined();
  });

  it('takes secrets out of what components say', () => {
    expect(backends.reasonOf(new Error('hunter2!'))).toBe('[redacted]!');
  });

  it('gathers all questions of a call for its trace, and only if that is recorded', async () => {
    const asking = call();
    await Promise.allSettled([
      backends.ask(asking, slot, 'get', () => Promise.resolve(), WORDING),
      backends.ask(asking, slot, 'get', () => Promise.reject(new RangeError('no')), WORDING),
      backends.ask(asking, slot, 'get', () => Promise.reject(new TypeError('no')), WORDING),
    ]);
    expect(asking.asked).toMatchObject({ times: 3, failure: Code.ABORTED, place: { system: 'redis' } });
    const untraced = new Call('m', '', 0);
    await backends.ask(untraced, slot, 'get', () => Promise.resolve(), WORDING);
    expect(untraced.asked).toBeUndefined();
  });

  it('counts every unknown component as one', () => {
    for (const name of ['a', 'b']) backends.unknown('get', new OperationError(Code.INVALID_ARGUMENT, name));
    expect(series()).toHaveLength(1);
    expect(series()[0]).toMatchObject({ component: 'unknown', type: 'unknown' });
    expect([...(series()[0]?.failures ?? [])]).toEqual([[Code.INVALID_ARGUMENT, 2]]);
  });

  describe('with a limit on calls at work', () => {
    const limit = { name: 'few', apps: [], primitives: [], operations: [], components: ['s'], per: [] };
    let end: () => void;
    let held: Promise<void>;

    beforeEach(() => {
      backends.seats.use([{ ...limit, concurrency: 2 }]);
      held = new Promise((resolve) => (end = resolve));
    });

    const ask = (of: Call, until: Promise<unknown> = held): Promise<string> =>
      backends.ask(of, slot, 'get', () => until.then(() => 'done'), WORDING);

    it('refuses what comes too many, by the name of the limit, until a call has ended', async () => {
      const first = [ask(call()), ask(call())];
      await expect(ask(call())).rejects.toMatchObject({
        code: Code.RESOURCE_EXHAUSTED,
        message: 'component "s" has 2 calls at work: the limit "few" of the policy is met',
      });
      expect([...(series()[0]?.failures ?? [])]).toEqual([[Code.RESOURCE_EXHAUSTED, 1]]);
      end();
      expect(await Promise.all(first)).toEqual(['done', 'done']);
      expect(await ask(call(), Promise.resolve())).toBe('done');
    });

    it('counts a call once, however much it asks, and lets it go on', async () => {
      const [bulk, other] = [call(), call()];
      const asked = [ask(bulk), ask(bulk), ask(bulk), ask(other)];
      await expect(ask(call())).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
      asked.push(ask(bulk));
      end();
      expect(await Promise.all(asked)).toHaveLength(5);
    });

    it('gives places back when a component fails', async () => {
      const failing = Promise.reject(new RangeError('no'));
      for (let times = 0; times < 5; times++)
        await expect(ask(call(), failing)).rejects.toMatchObject({ code: Code.ABORTED });
    });

    it('is about the components that it names', async () => {
      backends.seats.use([{ ...limit, components: ['other*'], concurrency: 1 }]);
      const asked = [ask(call()), ask(call())];
      end();
      expect(await Promise.all(asked)).toHaveLength(2);
    });
  });
});
