import type { MessageInitShape } from '@bufbuild/protobuf';

import { Compare_CompareResult, Compare_CompareTarget, KV } from '../../gen/etcdserverpb/rpc_pb.js';
import type { CompareSchema, RequestOpSchema, ResponseOp } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { demandOfRemoval, demandOfWrite } from '../../primitives/state/etag.js';
import { StateError } from '../../primitives/state/store.js';
import type {
  StateFeature,
  StateOperation,
  StateRemoval,
  StateStore,
  StateValue,
  StateWrite,
} from '../../primitives/state/store.js';
import { EtcdConnection } from './connection.js';
import { effectsOf } from './effects.js';
import type { Effect, Known, KnownKey } from './effects.js';
import { EtcdRefused, EtcdUnavailable } from './failure.js';
import { KeyOrder } from './key-order.js';
import { Leases } from './leases.js';
import { stateMetadataSchema } from './metadata.js';
import { decodeValue, encodeValue } from './value.js';
import type { ValueForm } from './value.js';

type Operation = MessageInitShape<typeof RequestOpSchema>;
type Comparison = MessageInitShape<typeof CompareSchema>;

/** etcd's own default of --max-txn-ops. */
const MAX_TXN_OPS = 128;

/** How often a transaction is tried whose keys are changed by others meanwhile. */
const TRIES = 20;

export async function open(context: ComponentContext): Promise<EtcdStateStore> {
  const metadata = stateMetadataSchema.parse(context.metadata);
  const connection = await EtcdConnection.open(metadata, context);
  return new EtcdStateStore(connection, new Leases(connection, context.log), {
    path: metadata.keyPrefixPath ?? '',
    form: context.version === 'v2' ? 'v2' : 'v1',
    defaultTtl: metadata.ttlInSeconds,
    maxOperations: metadata.maxTxnOps ?? MAX_TXN_OPS,
    place: EtcdConnection.place(metadata),
  });
}

export interface EtcdStateOptions {
  /** Stands before every key, with a slash between. */
  path: string;
  form: ValueForm;
  /** Seconds until values expire that are saved without a time of their own; undefined: never. */
  defaultTtl: number | undefined;
  /** The server's --max-txn-ops. */
  maxOperations: number;
  place: BackendPlace;
}

/**
 * State on etcd, kept as Dapr keeps it: `<path>/<key>`, values as they are (v1) or in an envelope (v2). The etag is
 * the store's revision at which the key was written last, so a key that was deleted never has an old one again.
 */
export class EtcdStateStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set(['ETAG', 'TRANSACTIONAL', 'TTL']);

  readonly #order = new KeyOrder();

  constructor(
    private readonly connection: EtcdConnection,
    private readonly leases: Leases,
    private readonly options: EtcdStateOptions,
  ) {}

  get place(): BackendPlace {
    return this.options.place;
  }

  async get(key: string): Promise<StateValue | undefined> {
    const request = { key: this.#stored(key) };
    const { kvs } = await this.connection.call(KV.method.range, request).catch(rethrow);
    const [kv] = kvs;
    if (kv === undefined) return undefined;
    const data = decodeValue(this.options.form, kv.value);
    if (data === undefined) {
      throw new StateError(
        'failed',
        `what is stored at ${key} is not a value of state.etcd v2; is it one of v1?`,
      );
    }
    return { data, etag: String(kv.modRevision) };
  }

  set(write: StateWrite): Promise<void> {
    return this.transact([{ kind: 'upsert', ...write }]);
  }

  delete(removal: StateRemoval): Promise<void> {
    return this.transact([{ kind: 'delete', ...removal }]);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    const limit = this.options.maxOperations - INNER_OPERATIONS;
    if (operations.length > limit) {
      const found = `${operations.length} operations are more than the ${limit} of one transaction`;
      const advice = "raise the server's --max-txn-ops, and maxTxnOps to 2 more than are needed";
      throw new StateError('too-large', `${found}; ${advice}`);
    }
    return this.#order.after(new Set(operations.map(({ key }) => key)), () => this.#transact(operations));
  }

  async #transact(operations: readonly StateOperation[]): Promise<void> {
    const demands = operations.map((operation) =>
      operation.kind === 'upsert' ? demandOfWrite(operation) : demandOfRemoval(operation),
    );
    const granted = new Map<string, bigint>();
    let inUse = false;
    try {
      // One operation is tried as if its key were as it demands; of several, it is looked first.
      let known =
        operations.length > 1 && demands.some((demand) => demand) ? await this.#look(operations) : undefined;
      for (let count = 0; count < TRIES; count++) {
        const effects = effectsOf(operations, demands, known, this.options.defaultTtl);
        await this.#grant(effects, granted);
        const found = await this.#commit(effects, granted);
        if (found === undefined) {
          inUse = true;
          return;
        }
        known = found;
      }
    } catch (error) {
      // If it was done after all, a key would end with its lease.
      inUse = error instanceof EtcdUnavailable;
      throw stateError(error, sizeOf(operations));
    } finally {
      if (!inUse) this.leases.revoke([...granted.values()]);
    }
    const [{ key } = { key: '' }] = operations;
    throw new StateError('failed', `others change key ${key} all the time`, key);
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  #stored(key: string): Uint8Array {
    return Buffer.from(`${this.options.path}/${key}`);
  }

  /** What is there now at the keys of operations. */
  async #look(operations: readonly StateOperation[]): Promise<Known> {
    const keys = [...new Set(operations.map(({ key }) => key))];
    const { responses } = await this.connection.call(KV.method.txn, {
      success: keys.map((key) => this.#rangeOf(key)),
    });
    return knownOf(keys, responses);
  }

  /** Grants the leases of effects that need one and have none. */
  async #grant(effects: readonly Effect[], granted: Map<string, bigint>): Promise<void> {
    await allSettled(
      effects.map(async (effect) => {
        if (effect.kind === 'put' && typeof effect.expiry === 'number' && !granted.has(effect.key))
          granted.set(effect.key, await this.leases.grant(effect.expiry));
      }),
    );
  }

  /** Does all of it, or nothing and resolves to what is there instead of what was expected. */
  async #commit(
    effects: readonly Effect[],
    granted: ReadonlyMap<string, bigint>,
  ): Promise<Known | undefined> {
    const compared = effects.map((effect) => [effect.key, this.#conditionsOf(effect)] as const);
    const keys = compared.flatMap(([key, conditions]) => (conditions.length > 0 ? [key] : []));
    const { succeeded, responses } = await this.connection.call(KV.method.txn, {
      compare: compared.flatMap(([, conditions]) => conditions),
      success: effects.map((effect) => this.#operationOf(effect, granted.get(effect.key) ?? 0n)),
      failure: keys.map((key) => this.#rangeOf(key)),
    });
    if (!succeeded) return knownOf(keys, responses);
    this.leases.revoke(responses.flatMap(formerLease));
    return undefined;
  }

  /** What must hold for an effect; one condition if its key is known. */
  #conditionsOf(effect: Effect): Comparison[] {
    const { key, known, expected } = effect;
    const at = { key: this.#stored(key) };
    const conditions: Comparison[] = [];
    if (expected !== undefined) {
      const targetUnion = { case: 'modRevision', value: expected } as const;
      conditions.push({ ...at, target: Compare_CompareTarget.MOD, result: EQUAL, targetUnion });
      // A lease changes with the revision only, and a key that is not there has none.
      if (known !== undefined || expected === 0n) return conditions;
    }
    if (!keepsExpiry(effect)) return conditions;
    // etcd keeps the lease of a key only if it is told to, and refuses to if the key is not there.
    if (known !== undefined && known.lease !== 0n) {
      const targetUnion = { case: 'version', value: 0n } as const;
      conditions.push({ ...at, target: Compare_CompareTarget.VERSION, result: GREATER, targetUnion });
    } else {
      const targetUnion = { case: 'lease', value: 0n } as const;
      conditions.push({ ...at, target: Compare_CompareTarget.LEASE, result: EQUAL, targetUnion });
    }
    return conditions;
  }

  #operationOf(effect: Effect, lease: bigint): Operation {
    const key = this.#stored(effect.key);
    if (effect.kind === 'delete') {
      return afterLook(this.#rangeOf(effect.key), { request: { case: 'deleteRange', value: { key } } });
    }
    const { expiry } = effect;
    const value = encodeValue(
      this.options.form,
      effect.value,
      typeof expiry === 'number' ? expiry : undefined,
    );
    if (keepsExpiry(effect)) {
      const ignoreLease = effect.known !== undefined && effect.known.lease !== 0n;
      return { request: { case: 'put', value: { key, value, ignoreLease } } };
    }
    return afterLook(this.#rangeOf(effect.key), { request: { case: 'put', value: { key, value, lease } } });
  }

  #rangeOf(key: string): Operation {
    return { request: { case: 'range', value: { key: this.#stored(key), keysOnly: true } } };
  }
}

const { EQUAL, GREATER } = Compare_CompareResult;

function keepsExpiry(effect: Effect): boolean {
  return effect.kind === 'put' && effect.expiry === 'kept';
}

/** Two operations as one of the transaction's, the look to find the key's former lease; see formerLease. */
function afterLook(look: Operation, operation: Operation): Operation {
  return { request: { case: 'txn', value: { success: [look, operation] } } };
}

/** How many operations a transaction within another one may have, of those that the server allows to both. */
const INNER_OPERATIONS = 2;

function knownOf(keys: readonly string[], responses: readonly ResponseOp[]): Known {
  return new Map(
    keys.map((key, index): [string, KnownKey] => {
      const response = responses[index]?.response;
      const kv = response?.case === 'range' ? response.value.kvs[0] : undefined;
      return [key, { revision: kv?.modRevision ?? 0n, lease: kv?.lease ?? 0n }];
    }),
  );
}

/** The lease that a key had before it was written or deleted, if it was looked at before. */
function formerLease({ response }: ResponseOp): bigint[] {
  if (response.case !== 'txn') return [];
  const [first] = response.value.responses;
  const lease = first?.response.case === 'range' ? first.response.value.kvs[0]?.lease : undefined;
  return lease ? [lease] : [];
}

/** As Promise.all, but waits for all of them, so that nothing comes later. */
async function allSettled(promises: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function sizeOf(operations: readonly StateOperation[]): number {
  return operations.reduce((sum, operation) => {
    return sum + (operation.kind === 'upsert' ? operation.value.length : 0);
  }, 0);
}

function rethrow(error: unknown): never {
  throw stateError(error, 0);
}

/** @param size bytes of the values of the call */
function stateError(error: unknown, size: number): unknown {
  if (error instanceof EtcdUnavailable) return new StateError('unavailable', reasonOf(error));
  if (!(error instanceof EtcdRefused)) return error;
  const { message } = error;
  if (/request is too large|larger than max/.test(message)) {
    const limit = "the server's --max-request-bytes, 1.5 MiB unless it is set";
    return new StateError('too-large', `${size} bytes of values are more than etcd takes at once (${limit})`);
  }
  if (/too many operations in txn/.test(message)) {
    return new StateError('too-large', `${message}: set maxTxnOps to the server's --max-txn-ops`);
  }
  return new StateError('failed', message);
}
