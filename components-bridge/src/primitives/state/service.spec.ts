import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { pino } from 'pino';
import * as z from 'zod';

import { eventually } from '../../../../test/support/wait.js';
import * as pb from '../../gen/layotto/bridge/v1/state_pb.js';
import { Call } from '../call.js';
import { Code } from '../errors.js';
import { ComponentRegistry } from '../registry.js';
import { StateService } from './service.js';
import { StateError } from './store.js';
import type { StateFeature, StateRemoval, StateStore, StateWrite } from './store.js';

/** A store that can do nothing but get, and fails as it is told to. */
class PoorStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set();
  failure: unknown;
  asked: string[] = [];
  /** What it answers with; undefined: something with the key in it. */
  data: Uint8Array | undefined;
  /** Of each write and removal, whether it is to be strong. */
  strong: unknown[] = [];

  async get(key: string) {
    this.asked.push(key);
    if (this.failure !== undefined) throw this.failure as Error;
    return { data: this.data ?? Buffer.from(`of ${key}`), etag: '' };
  }

  async set({ strong }: StateWrite): Promise<void> {
    this.strong.push(strong);
    throw new StateError('failed', 'read only');
  }

  async delete({ strong }: StateRemoval): Promise<void> {
    this.strong.push(strong);
    throw new StateError('failed', 'read only');
  }

  async close(): Promise<void> {}
}

describe('StateService', () => {
  const store = new PoorStore();
  let registry: ComponentRegistry;
  let service: StateService;

  beforeAll(async () => {
    const origin = { file: 'test', line: 0 };
    registry = new ComponentRegistry({
      components: [
        {
          name: 's',
          type: 'state.poor',
          version: 'v1',
          primitive: 'state',
          form: 'native',
          metadata: {},
          origin,
        },
      ],
      types: [
        {
          type: 'state.poor',
          primitive: 'state',
          capabilities: [],
          metadata: z.strictObject({}),
          load: () => Promise.resolve({ open: () => Promise.resolve(store) }),
        },
      ],
      dataDir: '/data',
      log: pino({ enabled: false }),
    });
    service = new StateService({ registry, appId: 'app', namespace: '', messageBytes: 1_000 });
    registry.start();
    await eventually('the store is ready', () => registry.find('state', 's')?.instance);
  });

  afterAll(() => registry.close());

  beforeEach(() => {
    store.failure = undefined;
    store.asked = [];
    store.data = undefined;
    store.strong = [];
  });

  const METHODS = [
    'GetState',
    'GetBulkState',
    'SaveState',
    'DeleteState',
    'DeleteBulkState',
    'ExecuteStateTransaction',
  ] as const;

  function call(method: string, payload: Uint8Array): Promise<Uint8Array> {
    const handler = service.handlers.get(`layotto.bridge.v1.State/${method}`);
    if (handler === undefined) throw new Error(`no handler for ${method}`);
    return handler(payload, new Call(method, '', performance.now()));
  }

  const get = (key = 'k'): Promise<Uint8Array> =>
    call(
      'GetState',
      toBinary(pb.GetStateRequestSchema, create(pb.GetStateRequestSchema, { storeName: 's', key })),
    );

  it('serves every method of the protocol, and no other', () => {
    expect([...service.handlers.keys()].sort()).toEqual(
      pb.State.methods.map(({ name }) => `layotto.bridge.v1.State/${name}`).sort(),
    );
    expect(METHODS).toHaveLength(service.handlers.size);
  });

  it.each(METHODS)('refuses a malformed %s', async (method) => {
    for (const malformed of ['0a05', 'ff', '0aff']) {
      await expect(call(method, Buffer.from(malformed, 'hex'))).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining(`malformed ${method}Request: `) as string,
      });
    }
  });

  it.each(METHODS)('names the store that %s does not find', async (method) => {
    // The store's name is field 1 of every request.
    const payload = toBinary(
      pb.GetStateRequestSchema,
      create(pb.GetStateRequestSchema, { storeName: 'nope' }),
    );
    for (const [name, request] of [
      ['nope', payload],
      ['', new Uint8Array(0)],
    ] as const) {
      await expect(call(method, request)).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `state store ${name} is not found`,
      });
    }
  });

  it('asks the store for the prefixed key', async () => {
    const { data } = fromBinary(pb.GetStateResponseSchema, await get());
    expect(Buffer.from(data).toString()).toBe('of app||k');
    expect(store.asked).toEqual(['app||k']);
  });

  it.each([
    [new StateError('failed', 'disk on fire'), Code.INTERNAL, 'disk on fire'],
    [new StateError('unavailable', 'h:1: gone'), Code.UNAVAILABLE, 'state store s is not ready: h:1: gone'],
    [new StateError('etag-mismatch', 'x'), Code.ABORTED, 'possible etag mismatch. error from state store: x'],
    [new StateError('etag-invalid', 'x'), Code.INVALID_ARGUMENT, 'invalid etag value: x'],
    [new StateError('exists', 'x', 'app||k'), Code.INTERNAL, 'failed to set key app||k: x'],
    [new StateError('apart', 'x'), Code.INVALID_ARGUMENT, 'x'],
    [new StateError('unconfirmed', 'h:1: done, but'), Code.UNAVAILABLE, 'state store s: h:1: done, but'],
  ])('says what %s means', async (failure, code, message) => {
    store.failure = failure;
    await expect(get()).rejects.toMatchObject({ code, message });
  });

  it('tells the store which writes are strong: all of a call, if one of them is', async () => {
    const { EVENTUAL, STRONG, UNSPECIFIED } = pb.Consistency;
    const item = (consistency = UNSPECIFIED) => ({ key: 'k', options: { consistency } });
    const items = (...states: { key: string }[]): Uint8Array =>
      toBinary(pb.SaveStateRequestSchema, create(pb.SaveStateRequestSchema, { storeName: 's', states }));
    const removal = (options: { consistency: pb.Consistency }): Uint8Array => {
      const request = create(pb.DeleteStateRequestSchema, { storeName: 's', key: 'k', options });
      return toBinary(pb.DeleteStateRequestSchema, request);
    };
    const told = async (method: string, payload: Uint8Array): Promise<unknown[]> => {
      store.strong = [];
      await call(method, payload).catch(() => undefined);
      return store.strong;
    };
    // A bulk delete has the same fields as a save.
    for (const method of ['SaveState', 'DeleteBulkState']) {
      expect(await told(method, items(item(), item(EVENTUAL)))).toEqual([false, false]);
      expect(await told(method, items(item(), item(STRONG)))).toEqual([true, true]);
    }
    expect(await told('DeleteState', removal({ consistency: EVENTUAL }))).toEqual([false]);
    expect(await told('DeleteState', removal({ consistency: STRONG }))).toEqual([true]);
  });

  it('lets a bug through as what it is', async () => {
    store.failure = new TypeError('x is not a function');
    await expect(get()).rejects.toBe(store.failure);
  });

  it('says of each key of a bulk read why it could not be read', async () => {
    store.failure = new StateError('failed', 'no luck');
    const request = create(pb.GetBulkStateRequestSchema, { storeName: 's', keys: ['a', 'b'] });
    const answer = await call('GetBulkState', toBinary(pb.GetBulkStateRequestSchema, request));
    const { items } = fromBinary(pb.GetBulkStateResponseSchema, answer);
    expect(items.map(({ key, error }) => [key, error])).toEqual([
      ['a', 'no luck'],
      ['b', 'no luck'],
    ]);
  });

  it('stops a bulk read of many large values soon after they exceed a message', async () => {
    store.data = Buffer.alloc(900);
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    const request = create(pb.GetBulkStateRequestSchema, { storeName: 's', keys });
    const answer = call('GetBulkState', toBinary(pb.GetBulkStateRequestSchema, request));
    await expect(answer).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect(store.asked.length).toBeLessThan(50);
  });

  it('reads every key of a bulk read, in the order asked', async () => {
    store.data = Buffer.of(1);
    const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
    const request = create(pb.GetBulkStateRequestSchema, { storeName: 's', keys });
    const answer = await call('GetBulkState', toBinary(pb.GetBulkStateRequestSchema, request));
    expect(fromBinary(pb.GetBulkStateResponseSchema, answer).items.map(({ key }) => key)).toEqual(keys);
  });

  it('refuses transactions that the store or the protocol does not have', async () => {
    const transact = (
      operations: { operationType: string; request?: { key: string } }[],
    ): Promise<Uint8Array> => {
      const schema = pb.ExecuteStateTransactionRequestSchema;
      return call(
        'ExecuteStateTransaction',
        toBinary(schema, create(schema, { storeName: 's', operations })),
      );
    };
    await expect(transact([{ operationType: 'upsert', request: { key: 'k' } }])).rejects.toMatchObject({
      code: Code.UNIMPLEMENTED,
      message: "state store s doesn't support transaction",
    });
    await expect(transact([{ operationType: 'frob', request: { key: 'k' } }])).rejects.toMatchObject({
      code: Code.UNIMPLEMENTED,
      message: 'operation type frob not supported',
    });
    await expect(transact([{ operationType: 'upsert' }])).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });
});
