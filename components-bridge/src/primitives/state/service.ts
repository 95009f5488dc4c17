import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/state_pb.js';
import { Code, OperationError, reasonOf } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { keyPrefix, storedKey } from './keys.js';
import type { KeyOwner } from './keys.js';
import { StateError } from './store.js';
import type { StateOperation, StateRemoval, StateStore, StateValue, StateWrite } from './store.js';
import { ttlOf } from './ttl.js';

export interface StateServiceOptions extends KeyOwner {
  registry: ComponentRegistry;
  /** Largest message; a bulk read stops where its answer would exceed it. */
  messageBytes: number;
}

/** How many keys of one call are on their way to the store at once. */
const AT_ONCE = 1_000;

/** Bytes of a bulk item beside its key, data and etag, at most. */
const ITEM_OVERHEAD = 24;

const NO_BYTES = new Uint8Array(0);

/** A store, held for one call, and what stands before its keys. */
interface Target {
  slot: ComponentSlot;
  prefix: string;
}

/** The state primitive: canonical messages in, calls on stores, canonical messages out. */
export class StateService implements Service {
  readonly name = pb.State.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** By slot, because new settings come in a new slot. */
  readonly #targets = new WeakMap<ComponentSlot, Target>();

  constructor(private readonly options: StateServiceOptions) {
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetState`, (payload) => this.#get(payload)],
      [`${this.name}/GetBulkState`, (payload) => this.#getBulk(payload)],
      [`${this.name}/SaveState`, (payload) => this.#save(payload)],
      [`${this.name}/DeleteState`, (payload) => this.#delete(payload)],
      [`${this.name}/DeleteBulkState`, (payload) => this.#deleteBulk(payload)],
      [`${this.name}/ExecuteStateTransaction`, (payload) => this.#transact(payload)],
    ]);
  }

  async #get(payload: Uint8Array): Promise<Uint8Array> {
    const request = decode(pb.GetStateRequestSchema, payload);
    return this.#on(request.storeName, async ({ slot, prefix }) => {
      const key = storedKey(prefix, request.key);
      const value = await run(slot, (store) => store.get(key));
      if (value === undefined) return NO_BYTES;
      return toBinary(pb.GetStateResponseSchema, create(pb.GetStateResponseSchema, value));
    });
  }

  async #getBulk(payload: Uint8Array): Promise<Uint8Array> {
    const { storeName, keys } = decode(pb.GetBulkStateRequestSchema, payload);
    return this.#on(storeName, (target) => this.#getAll(target, keys));
  }

  async #getAll({ slot, prefix }: Target, keys: readonly string[]): Promise<Uint8Array> {
    const stored = keys.map((key) => storedKey(prefix, key));
    if (slot.instance === undefined) throw notReady(slot, slot.reason);
    let room = this.options.messageBytes;
    const items = await inSlices(stored, async (key, index) => {
      const item = create(pb.BulkStateItemSchema, { key: keys[index] ?? '' });
      let value: StateValue | undefined;
      try {
        value = await run(slot, (store) => store.get(key));
      } catch (error) {
        item.error = reasonOf(error);
      }
      if (value !== undefined) {
        item.data = value.data;
        item.etag = value.etag;
      }
      room -= item.data.length + 3 * (item.key.length + item.error.length) + ITEM_OVERHEAD;
      if (room < 0) {
        const limit = `the limit of ${this.options.messageBytes} bytes (limits.message)`;
        throw new OperationError(
          Code.RESOURCE_EXHAUSTED,
          `the values asked for exceed ${limit}; ask for fewer keys`,
        );
      }
      return item;
    });
    return toBinary(pb.GetBulkStateResponseSchema, create(pb.GetBulkStateResponseSchema, { items }));
  }

  async #save(payload: Uint8Array): Promise<Uint8Array> {
    const { storeName, states } = decode(pb.SaveStateRequestSchema, payload);
    return this.#on(storeName, async ({ slot, prefix }) => {
      const keys = states.map(({ key }) => storedKey(prefix, key));
      await independently(states, (item, index) =>
        run(slot, (store) => store.set(write(keys[index] ?? '', item))),
      );
      return NO_BYTES;
    });
  }

  async #delete(payload: Uint8Array): Promise<Uint8Array> {
    const { storeName, key, etag } = decode(pb.DeleteStateRequestSchema, payload);
    return this.#on(storeName, async ({ slot, prefix }) => {
      const removal = { key: storedKey(prefix, key), etag: etag?.value };
      await run(slot, (store) => store.delete(removal));
      return NO_BYTES;
    });
  }

  async #deleteBulk(payload: Uint8Array): Promise<Uint8Array> {
    const { storeName, states } = decode(pb.DeleteBulkStateRequestSchema, payload);
    return this.#on(storeName, async ({ slot, prefix }) => {
      const removals = states.map(({ key, etag }): StateRemoval => {
        return { key: storedKey(prefix, key), etag: etag?.value };
      });
      await independently(removals, (removal) => run(slot, (store) => store.delete(removal)));
      return NO_BYTES;
    });
  }

  async #transact(payload: Uint8Array): Promise<Uint8Array> {
    const request = decode(pb.ExecuteStateTransactionRequestSchema, payload);
    return this.#on(request.storeName, async ({ slot, prefix }) => {
      const operations = request.operations.map((operation, index) =>
        transactional(operation, index, prefix),
      );
      if (operations.length === 0) return NO_BYTES;
      await run(slot, (store) => {
        if (!store.features.has('TRANSACTIONAL') || store.transact === undefined) {
          const message = `state store ${request.storeName} doesn't support transaction`;
          throw new OperationError(Code.UNIMPLEMENTED, message);
        }
        return store.transact(operations);
      });
      return NO_BYTES;
    });
  }

  /** Performs a call on a store. The store is held: one that is replaced meanwhile is closed only after the call. */
  async #on(storeName: string, call: (target: Target) => Promise<Uint8Array>): Promise<Uint8Array> {
    const slot = this.options.registry.find('state', storeName);
    if (slot === undefined) {
      throw new OperationError(Code.INVALID_ARGUMENT, `state store ${storeName} is not found`);
    }
    let target = this.#targets.get(slot);
    if (target === undefined) {
      target = { slot, prefix: keyPrefix(slot.config, this.options) };
      this.#targets.set(slot, target);
    }
    slot.hold();
    try {
      return await call(target);
    } finally {
      slot.release();
    }
  }
}

function decode<Desc extends DescMessage>(schema: Desc, payload: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    throw new OperationError(Code.INVALID_ARGUMENT, `malformed ${schema.name}: ${reasonOf(error)}`);
  }
}

function write(key: string, item: pb.StateItem): StateWrite {
  return {
    key,
    value: item.value,
    etag: item.etag?.value,
    firstWrite: item.options?.concurrency === pb.Concurrency.FIRST_WRITE,
    ttlSeconds: ttlOf(item.metadata),
  };
}

function transactional(
  { operationType, request }: pb.TransactionalStateOperation,
  index: number,
  prefix: string,
): StateOperation {
  if (operationType !== 'upsert' && operationType !== 'delete') {
    throw new OperationError(Code.UNIMPLEMENTED, `operation type ${operationType} not supported`);
  }
  if (request === undefined) {
    const message = `operation ${index} of the transaction has no request`;
    throw new OperationError(Code.INVALID_ARGUMENT, message);
  }
  const key = storedKey(prefix, request.key);
  return operationType === 'upsert'
    ? { kind: 'upsert', ...write(key, request) }
    : { kind: 'delete', key, etag: request.etag?.value };
}

/** Calls the store if it is ready, and turns what it throws into what the filter hears. */
async function run<Result>(
  slot: ComponentSlot,
  call: (store: StateStore) => Promise<Result>,
): Promise<Result> {
  const store = slot.instance as StateStore | undefined;
  if (store === undefined) throw notReady(slot, slot.reason);
  try {
    return await call(store);
  } catch (error) {
    throw error instanceof StateError ? asOperationError(error, slot) : error;
  }
}

function notReady(slot: ComponentSlot, reason: string): OperationError {
  return new OperationError(Code.UNAVAILABLE, `state store ${slot.config.name} is not ready: ${reason}`);
}

/** The one place that says which code and which words each kind of error becomes. */
function asOperationError(error: StateError, slot: ComponentSlot): OperationError {
  const { message } = error;
  switch (error.kind) {
    case 'etag-mismatch':
      return new OperationError(Code.ABORTED, `possible etag mismatch. error from state store: ${message}`);
    case 'etag-invalid':
      return new OperationError(Code.INVALID_ARGUMENT, `invalid etag value: ${message}`);
    case 'exists':
      return new OperationError(Code.INTERNAL, `failed to set key ${error.key ?? ''}: ${message}`);
    case 'unavailable':
      return notReady(slot, message);
    case 'failed':
      return new OperationError(Code.INTERNAL, message);
  }
}

/**
 * Does each item whatever becomes of the others.
 *
 * @throws the failure of the first item, in the order given, that failed
 */
async function independently<Item>(
  items: readonly Item[],
  perform: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  const outcomes = await inSlices(items, async (item, index) => {
    try {
      await perform(item, index);
      return undefined;
    } catch (error) {
      return { error };
    }
  });
  const failed = outcomes.find((outcome) => outcome !== undefined);
  if (failed !== undefined) throw failed.error;
}

/** Calls `perform` for each item, in order, a bounded number of them at once. */
async function inSlices<Item, Result>(
  items: readonly Item[],
  perform: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const slice = items.slice(start, start + AT_ONCE);
    results.push(...(await Promise.all(slice.map((item, index) => perform(item, start + index)))));
  }
  return results;
}
