import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/state_pb.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { encodeGetStateResponse } from './encode.js';
import { keyPrefix, storedKey } from '../keys.js';
import type { KeyOwner } from '../keys.js';
import { StateError } from './store.js';
import type { StateOperation, StateRemoval, StateStore, StateValue, StateWrite } from './store.js';
import { ttlOf } from './ttl.js';

export interface StateServiceOptions extends KeyOwner {
  registry: ComponentRegistry;
  /** Counts what stores are asked; by default for nobody. */
  backends?: Backends;
  /** Largest message; a bulk read stops where its answer would exceed it. */
  messageBytes: number;
}

/** How many keys of one call are on their way to the store at once. */
const WRITES_AT_ONCE = 1_000;
/** Fewer, because each may be as long as a message, and all but one of those be read for nothing. */
const READS_AT_ONCE = 16;

/** Bytes of a bulk item beside its key, data and etag, at most. */
const ITEM_OVERHEAD = 24;

const NO_BYTES = new Uint8Array(0);

/** What a store is asked to do, as metrics and traces name it. */
type Asking = 'get' | 'set' | 'delete' | 'transact';

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
  readonly #backends: Backends;

  constructor(private readonly options: StateServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetState`, (payload, call) => this.#get(payload, call)],
      [`${this.name}/GetBulkState`, (payload, call) => this.#getBulk(payload, call)],
      [`${this.name}/SaveState`, (payload, call) => this.#save(payload, call)],
      [`${this.name}/DeleteState`, (payload, call) => this.#delete(payload, call)],
      [`${this.name}/DeleteBulkState`, (payload, call) => this.#deleteBulk(payload, call)],
      [`${this.name}/ExecuteStateTransaction`, (payload, call) => this.#transact(payload, call)],
    ]);
  }

  async #get(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.GetStateRequestSchema, payload);
    return this.#on(request.storeName, 'get', async ({ slot, prefix }) => {
      const key = storedKey(prefix, request.key);
      const value = await this.#run(call, slot, 'get', (store) => store.get(key));
      if (value === undefined) return NO_BYTES;
      return encodeGetStateResponse(value);
    });
  }

  async #getBulk(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, keys } = decode(pb.GetBulkStateRequestSchema, payload);
    return this.#on(storeName, 'get', (target) => this.#getAll(target, keys, call));
  }

  async #getAll({ slot, prefix }: Target, keys: readonly string[], call: Call): Promise<Uint8Array> {
    const stored = keys.map((key) => storedKey(prefix, key));
    if (slot.instance === undefined) throw this.#backends.refused(call, slot, 'get', WORDING);
    let room = this.options.messageBytes;
    const items = await inSlices(READS_AT_ONCE, stored, async (key, index) => {
      const item = create(pb.BulkStateItemSchema, { key: keys[index] ?? '' });
      let value: StateValue | undefined;
      try {
        value = await this.#run(call, slot, 'get', (store) => store.get(key));
      } catch (error) {
        item.error = this.#backends.reasonOf(error);
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

  async #save(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, states } = decode(pb.SaveStateRequestSchema, payload);
    return this.#on(storeName, 'set', async ({ slot, prefix }) => {
      const keys = states.map(({ key }) => storedKey(prefix, key));
      const strong = areStrong(states);
      await independently(states, (item, index) =>
        this.#run(call, slot, 'set', (store) => store.set(write(keys[index] ?? '', item, strong))),
      );
      return NO_BYTES;
    });
  }

  async #delete(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, key, etag, options } = decode(pb.DeleteStateRequestSchema, payload);
    return this.#on(storeName, 'delete', async ({ slot, prefix }) => {
      const removal = { key: storedKey(prefix, key), etag: etag?.value, strong: isStrong(options) };
      await this.#run(call, slot, 'delete', (store) => store.delete(removal));
      return NO_BYTES;
    });
  }

  async #deleteBulk(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, states } = decode(pb.DeleteBulkStateRequestSchema, payload);
    return this.#on(storeName, 'delete', async ({ slot, prefix }) => {
      const strong = areStrong(states);
      const removals = states.map(({ key, etag }): StateRemoval => {
        return { key: storedKey(prefix, key), etag: etag?.value, strong };
      });
      await independently(removals, (removal) =>
        this.#run(call, slot, 'delete', (store) => store.delete(removal)),
      );
      return NO_BYTES;
    });
  }

  async #transact(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.ExecuteStateTransactionRequestSchema, payload);
    return this.#on(request.storeName, 'transact', async ({ slot, prefix }) => {
      const operations = request.operations.map((operation, index) =>
        transactional(operation, index, prefix),
      );
      if (operations.length === 0) return NO_BYTES;
      await this.#run(call, slot, 'transact', (store) => {
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
  async #on(
    storeName: string,
    operation: Asking,
    perform: (target: Target) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const slot = this.options.registry.find('state', storeName);
    if (slot === undefined) {
      const message = `state store ${storeName} is not found`;
      throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
    }
    let target = this.#targets.get(slot);
    if (target === undefined) {
      target = { slot, prefix: keyPrefix(slot.config, this.options) };
      this.#targets.set(slot, target);
    }
    const held = target;
    return slot.use(() => perform(held));
  }

  #run<Result>(
    call: Call,
    slot: ComponentSlot,
    operation: Asking,
    perform: (store: StateStore) => Promise<Result>,
  ): Promise<Result> {
    return this.#backends.ask(call, slot, operation, perform, WORDING);
  }
}

function isStrong(options: pb.StateOptions | undefined): boolean {
  return options?.consistency === pb.Consistency.STRONG;
}

/** The items of one call are strong if one of them is: a store may keep them in order only among their kind. */
function areStrong(items: readonly pb.StateItem[]): boolean {
  return items.some(({ options }) => isStrong(options));
}

function write(key: string, item: pb.StateItem, strong: boolean): StateWrite {
  return {
    key,
    value: item.value,
    etag: item.etag?.value,
    firstWrite: item.options?.concurrency === pb.Concurrency.FIRST_WRITE,
    ttlSeconds: ttlOf(item.metadata),
    strong,
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
  const strong = isStrong(request.options);
  return operationType === 'upsert'
    ? { kind: 'upsert', ...write(key, request, strong) }
    : { kind: 'delete', key, etag: request.etag?.value, strong };
}

/** How the stores' failures are told to the filter. */
const WORDING: Wording = {
  notReady: (slot) => notReady(slot, slot.reason),
  failure: (error, slot) => (error instanceof StateError ? asOperationError(error, slot) : error),
};

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
    case 'apart':
      return new OperationError(Code.INVALID_ARGUMENT, message);
    case 'too-large':
      return new OperationError(Code.RESOURCE_EXHAUSTED, message);
    case 'unavailable':
      return notReady(slot, message);
    case 'unconfirmed':
      return new OperationError(Code.UNAVAILABLE, `state store ${slot.config.name}: ${message}`);
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
  const outcomes = await inSlices(WRITES_AT_ONCE, items, async (item, index) => {
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
  atOnce: number,
  items: readonly Item[],
  perform: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    const slice = items.slice(start, start + atOnce);
    results.push(...(await Promise.all(slice.map((item, index) => perform(item, start + index)))));
  }
  return results;
}
