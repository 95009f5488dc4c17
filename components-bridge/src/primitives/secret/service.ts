import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/secret_pb.js';
import type { Policy } from '../../policy/policy.js';
import type { Subject } from '../../policy/types.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { SecretError } from './store.js';
import type { SecretEntries, SecretStore } from './store.js';

export interface SecretServiceOptions {
  registry: ComponentRegistry;
  /** Says who may have which secret. */
  policy: Policy;
  /** Counts what stores are asked; by default for nobody. */
  backends?: Backends;
  /** Largest message; a bulk read stops where its answer would exceed it. */
  messageBytes: number;
}

/** Bytes of an entry beside its key and value, at most. */
const ENTRY_OVERHEAD = 16;

/** What a store is asked to do, as metrics and traces name it. */
type Asking = 'get' | 'bulk';

/** The secret primitive. Every door's calls come here, so here it is decided who may read what. */
export class SecretService implements Service {
  readonly name = pb.Secret.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;

  constructor(private readonly options: SecretServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetSecret`, (payload, call) => this.#get(payload, call)],
      [`${this.name}/GetBulkSecret`, (payload, call) => this.#getBulk(payload, call)],
    ]);
  }

  async #get(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, key } = decode(pb.GetSecretRequestSchema, payload);
    const slot = this.#slot(storeName, 'get');
    // The filter has asked the same, unless the name was in JSON, which it does not read.
    const denial = this.options.policy.admit(call.caller, subjectOf('GetSecret', storeName, key));
    if (denial !== undefined) throw new OperationError(Code.PERMISSION_DENIED, denial.message);
    const entries = await this.#run(call, slot, 'get', async (store) => {
      const found = await store.get(key);
      if (found === undefined) throw new OperationError(Code.NOT_FOUND, `secret ${key} not found`);
      return found;
    });
    const data = Object.fromEntries(entries);
    return toBinary(pb.GetSecretResponseSchema, create(pb.GetSecretResponseSchema, { data }));
  }

  async #getBulk(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName } = decode(pb.GetBulkSecretRequestSchema, payload);
    const slot = this.#slot(storeName, 'bulk');
    const data = await this.#run(call, slot, 'bulk', (store) => this.#readAll(call, slot, store));
    return toBinary(pb.GetBulkSecretResponseSchema, create(pb.GetBulkSecretResponseSchema, { data }));
  }

  /** Every secret that the app may have; the others are not even read. */
  async #readAll(call: Call, slot: ComponentSlot, store: SecretStore): Promise<pb.SecretEntry[]> {
    let room = this.options.messageBytes;
    const all: pb.SecretEntry[] = [];
    for (const name of await store.names()) {
      const subject = subjectOf('GetBulkSecret', slot.config.name, name);
      if (this.options.policy.denialOf(call.caller, subject) !== undefined) continue;
      const entries = await store.get(name);
      // It has gone since its name was read.
      if (entries === undefined) continue;
      room -= sizeOf(name, entries);
      if (room < 0) {
        const limit = `the limit of ${this.options.messageBytes} bytes (limits.message)`;
        throw new OperationError(
          Code.RESOURCE_EXHAUSTED,
          `all secrets together exceed ${limit}; get them one by one`,
        );
      }
      const value = create(pb.SecretValuesSchema, { secrets: Object.fromEntries(entries) });
      all.push(create(pb.SecretEntrySchema, { key: name, value }));
    }
    return all;
  }

  #slot(storeName: string, operation: Asking): ComponentSlot {
    const slot = this.options.registry.find('secret', storeName);
    if (slot !== undefined) return slot;
    const message = `secret store ${storeName} is not found`;
    throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
  }

  #run<Result>(
    call: Call,
    slot: ComponentSlot,
    operation: Asking,
    perform: (store: SecretStore) => Promise<Result>,
  ): Promise<Result> {
    return slot.use(() => this.#backends.ask(call, slot, operation, perform, WORDING));
  }
}

function subjectOf(operation: string, component: string, name: string): Subject {
  return { primitive: 'secret', operation, component, name };
}

function sizeOf(name: string, entries: SecretEntries): number {
  let size = Buffer.byteLength(name) + ENTRY_OVERHEAD;
  for (const [key, value] of entries)
    size += Buffer.byteLength(key) + Buffer.byteLength(value) + ENTRY_OVERHEAD;
  return size;
}

/** How the stores' failures are told to the filter. */
const WORDING: Wording = {
  notReady: ({ config, reason }) =>
    new OperationError(Code.UNAVAILABLE, `secret store ${config.name} is not ready: ${reason}`),
  failure: (error) =>
    error instanceof SecretError ? new OperationError(Code.INTERNAL, error.message) : error,
};
