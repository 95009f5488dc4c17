import { Compare_CompareResult, Compare_CompareTarget, KV } from '../../gen/etcdserverpb/rpc_pb.js';
import type { ResponseOp } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { LockError } from '../../primitives/lock/lock-store.js';
import type { LockClaim, LockOutcome, LockStore, TimedLockClaim } from '../../primitives/lock/lock-store.js';
import { EtcdConnection } from './connection.js';
import { EtcdUnavailable } from './failure.js';
import { Leases } from './leases.js';
import { layottoPath, lockMetadataSchema } from './metadata.js';

const { EQUAL } = Compare_CompareResult;

export async function open(context: ComponentContext): Promise<EtcdLockStore> {
  const metadata = lockMetadataSchema.parse(context.metadata);
  const connection = await EtcdConnection.open(metadata, context);
  const leases = new Leases(connection, context.log);
  return new EtcdLockStore(connection, leases, layottoPath(metadata), EtcdConnection.place(metadata));
}

/**
 * Locks on etcd, in the form in which Layotto keeps them: a key with the owner, which goes with its lease. The fencing
 * token is the store's revision at which the key was created: it grows with every write to etcd, and is never lost.
 */
export class EtcdLockStore implements LockStore {
  constructor(
    private readonly connection: EtcdConnection,
    private readonly leases: Leases,
    private readonly path: string,
    readonly place: BackendPlace,
  ) {}

  async tryLock({ key: name, owner, expirySeconds }: TimedLockClaim): Promise<bigint | undefined> {
    const key = this.#stored(name);
    try {
      // Most of those who come in vain are found out without a write.
      const { kvs } = await this.connection.call(KV.method.range, { key, keysOnly: true });
      if (kvs.length > 0) return undefined;
      return await this.#withLease(expirySeconds, async (lease) => {
        const absent = { case: 'createRevision', value: 0n } as const;
        const { succeeded, header } = await this.connection.call(KV.method.txn, {
          compare: [{ key, target: Compare_CompareTarget.CREATE, result: EQUAL, targetUnion: absent }],
          success: [{ request: { case: 'put', value: { key, value: Buffer.from(owner), lease } } }],
        });
        return { done: succeeded, result: succeeded ? header?.revision : undefined };
      });
    } catch (error) {
      throw lockError(error);
    }
  }

  async unlock({ key: name, owner }: LockClaim): Promise<LockOutcome> {
    const key = this.#stored(name);
    try {
      const { succeeded, responses } = await this.connection.call(KV.method.txn, {
        compare: [heldBy(key, owner)],
        success: [lookAt(key), { request: { case: 'deleteRange', value: { key } } }],
        failure: [lookAt(key)],
      });
      return this.#outcome(succeeded, responses);
    } catch (error) {
      throw lockError(error);
    }
  }

  /** A lease cannot be made longer or shorter than it was granted, so the key moves to a new one. */
  async keepAlive({ key: name, owner, expirySeconds }: TimedLockClaim): Promise<LockOutcome> {
    const key = this.#stored(name);
    try {
      return await this.#withLease(expirySeconds, async (lease) => {
        const value = Buffer.from(owner);
        const { succeeded, responses } = await this.connection.call(KV.method.txn, {
          compare: [heldBy(key, owner)],
          success: [lookAt(key), { request: { case: 'put', value: { key, value, lease } } }],
          failure: [lookAt(key)],
        });
        return { done: succeeded, result: this.#outcome(succeeded, responses) };
      });
    } catch (error) {
      throw lockError(error);
    }
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  #stored(name: string): Uint8Array {
    return Buffer.from(this.path + name);
  }

  /** Does something with a new lease, which is given back unless a key has it, or may have it. */
  async #withLease<Result>(
    seconds: number,
    perform: (lease: bigint) => Promise<{ done: boolean; result: Result }>,
  ): Promise<Result> {
    const lease = await this.leases.grant(seconds);
    let inUse = false;
    try {
      const { done, result } = await perform(lease);
      inUse = done;
      return result;
    } catch (error) {
      inUse = error instanceof EtcdUnavailable;
      throw error;
    } finally {
      if (!inUse) this.leases.revoke([lease]);
    }
  }

  /** What a look at the key before it was changed, or instead, says. */
  #outcome(succeeded: boolean, [look]: readonly ResponseOp[]): LockOutcome {
    const found = look?.response.case === 'range' ? look.response.value.kvs[0] : undefined;
    if (!succeeded) return found === undefined ? 'absent' : 'others';
    if (found !== undefined) this.leases.revoke([found.lease]);
    return 'done';
  }
}

/** Does not hold for a key that is not there. */
function heldBy(key: Uint8Array, owner: string) {
  const value = { case: 'value', value: Buffer.from(owner) } as const;
  return { key, target: Compare_CompareTarget.VALUE, result: EQUAL, targetUnion: value };
}

function lookAt(key: Uint8Array) {
  return { request: { case: 'range', value: { key, keysOnly: true } } } as const;
}

function lockError(error: unknown): LockError {
  const kind = error instanceof EtcdUnavailable ? 'unavailable' : 'failed';
  return new LockError(kind, reasonOf(error), { cause: error });
}
