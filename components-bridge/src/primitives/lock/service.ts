import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/lock_pb.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import { lockPrefix, storedKey } from '../keys.js';
import type { KeyOwner } from '../keys.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { LockError } from './lock-store.js';
import type { LockClaim, LockOutcome, LockStore } from './lock-store.js';

export interface LockServiceOptions extends KeyOwner {
  registry: ComponentRegistry;
  /** Counts what stores are asked; by default for nobody. */
  backends?: Backends;
}

/** Longest owner. Stores keep it with the lock, and any unique name is much shorter. */
const LONGEST_OWNER = 1024;

/** What a store is asked to do, as metrics and traces name it. */
type Asking = 'try' | 'unlock' | 'keepalive';

const STATUS: Readonly<Record<LockOutcome, pb.LockStatus>> = {
  done: pb.LockStatus.SUCCESS,
  absent: pb.LockStatus.UNEXIST,
  others: pb.LockStatus.BELONG_TO_OTHERS,
  broken: pb.LockStatus.INTERNAL_ERROR,
};

interface Request {
  storeName: string;
  resourceId: string;
  lockOwner: string;
}

/** The lock primitive: canonical messages in, calls on stores, canonical messages out. */
export class LockService implements Service {
  readonly name = pb.Lock.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;

  constructor(private readonly options: LockServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/TryLock`, (payload, call) => this.#tryLock(payload, call)],
      [`${this.name}/Unlock`, (payload, call) => this.#unlock(payload, call)],
      [`${this.name}/LockKeepAlive`, (payload, call) => this.#keepAlive(payload, call)],
    ]);
  }

  async #tryLock(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.TryLockRequestSchema, payload);
    const token = await this.#on(call, 'try', request, (store, claim) => {
      return store.tryLock({ ...claim, expirySeconds: expiryOf(request) });
    });
    const response = token === undefined ? {} : { success: true, fencingToken: token };
    return toBinary(pb.TryLockResponseSchema, create(pb.TryLockResponseSchema, response));
  }

  async #unlock(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.UnlockRequestSchema, payload);
    const outcome = await this.#on(call, 'unlock', request, (store, claim) => store.unlock(claim));
    return toBinary(pb.UnlockResponseSchema, create(pb.UnlockResponseSchema, { status: STATUS[outcome] }));
  }

  async #keepAlive(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.LockKeepAliveRequestSchema, payload);
    const outcome = await this.#on(call, 'keepalive', request, (store, claim) => {
      return store.keepAlive({ ...claim, expirySeconds: expiryOf(request) });
    });
    const response = create(pb.LockKeepAliveResponseSchema, { status: STATUS[outcome] });
    return toBinary(pb.LockKeepAliveResponseSchema, response);
  }

  /** Performs a call on a store. The store is held: one that is replaced meanwhile is closed only after the call. */
  async #on<Result>(
    call: Call,
    operation: Asking,
    request: Request,
    perform: (store: LockStore, claim: LockClaim) => Promise<Result>,
  ): Promise<Result> {
    const { storeName } = request;
    const slot = this.options.registry.find('lock', storeName);
    if (slot === undefined) {
      const message = `lock store ${storeName} not found`;
      throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
    }
    const claim = this.#claim(slot, request);
    return slot.use(() =>
      this.#backends.ask<LockStore, Result>(call, slot, operation, (store) => perform(store, claim), WORDING),
    );
  }

  /** @throws OperationError INVALID_ARGUMENT. The doors have checked most of it, but they are not the only callers */
  #claim(slot: ComponentSlot, { storeName, resourceId, lockOwner }: Request): LockClaim {
    if (resourceId === '') throw invalid(`ResourceId is empty in lock store ${storeName}`);
    if (lockOwner === '') throw invalid(`LockOwner is empty in lock store ${storeName}`);
    const length = Buffer.byteLength(lockOwner);
    if (length > LONGEST_OWNER) {
      throw invalid(`LockOwner has ${length} bytes, more than ${LONGEST_OWNER}, in lock store ${storeName}`);
    }
    return { key: storedKey(lockPrefix(slot.config, this.options), resourceId), owner: lockOwner };
  }
}

function expiryOf({ storeName, expire }: { storeName: string; expire: number }): number {
  if (expire <= 0) throw invalid(`Expire is not positive in lock store ${storeName}`);
  return expire;
}

function invalid(message: string): OperationError {
  return new OperationError(Code.INVALID_ARGUMENT, message);
}

function notReady({ config }: ComponentSlot, reason: string): OperationError {
  return new OperationError(Code.UNAVAILABLE, `lock store ${config.name} is not ready: ${reason}`);
}

/** How the stores' failures are told to the filter. */
const WORDING: Wording = {
  notReady: (slot) => notReady(slot, slot.reason),
  failure: (error, slot) => {
    if (!(error instanceof LockError)) return error;
    return error.kind === 'unavailable'
      ? notReady(slot, error.message)
      : new OperationError(Code.INTERNAL, error.message);
  },
};
