import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/state_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Answer, Behind, Failure, UnaryMethod } from './method.js';
import { plainly, withDetails } from './refused.js';
import type { Details, Refuse, Refused } from './refused.js';

const STATE = 'state';
const EMPTY: Answer = { message: new Uint8Array(0) };

/** How one API says what is wrong with a call. */
interface Spelling {
  service: string;
  refuse: Refuse;
  /** Whether saving under an empty key is refused. */
  refusesEmptyKey: boolean;
}

/** A request about one store. */
type StoreRequest = { storeName: string };

/** What a method of this primitive differs by. */
interface StateMethod<Desc extends DescMessage> {
  name: string;
  request: Desc;
  /** Dapr's reason for its failures. */
  reason: string;
  /** What the text of a failure begins with. */
  failing(request: MessageShape<Desc>): string;
  /** What is asked of the store itself; by default that it is there. */
  capability?: string;
  /** Everything else that is checked. */
  check?(request: MessageShape<Desc>, checks: Checks): Refused | Answer | undefined;
  /** Code of a failure, by default the store's. */
  code?(code: Code): Code;
}

/** The state methods of both APIs: their messages are the bridge's. */
export function stateMethods(): UnaryMethod[] {
  return [
    ...methodsOf({ service: LAYOTTO, refuse: plainly, refusesEmptyKey: false }),
    ...methodsOf({ service: DAPR, refuse: withDetails, refusesEmptyKey: true }),
  ];
}

function methodsOf(spelling: Spelling): UnaryMethod[] {
  const method = <Desc extends DescMessage>(of: StateMethod<Desc>) => stateMethod(spelling, of);
  return [
    method({
      name: 'GetState',
      request: pb.GetStateRequestSchema,
      reason: 'ERR_STATE_GET',
      failing: ({ key, storeName }) => `fail to get ${clip(key)} from state store ${clip(storeName)}: `,
      check: ({ key }, checks) => checks.key(key),
    }),
    method({
      name: 'GetBulkState',
      request: pb.GetBulkStateRequestSchema,
      reason: 'ERR_STATE_BULK_GET',
      failing: () => '',
      check: ({ keys }, checks) => (keys.length === 0 ? EMPTY : checks.keys(keys)),
    }),
    method({
      name: 'SaveState',
      request: pb.SaveStateRequestSchema,
      reason: 'ERR_STATE_SAVE',
      failing: ({ storeName }) => `failed saving state in state store ${clip(storeName)}: `,
      check: ({ states }, checks) =>
        states.length === 0 ? EMPTY : checks.keys(keysOf(states), spelling.refusesEmptyKey),
    }),
    method({
      name: 'DeleteState',
      request: pb.DeleteStateRequestSchema,
      reason: 'ERR_STATE_DELETE',
      failing: ({ key }) => `failed deleting state with key ${clip(key)}: `,
      check: ({ key }, checks) => checks.key(key),
    }),
    method({
      name: 'DeleteBulkState',
      request: pb.DeleteBulkStateRequestSchema,
      reason: 'ERR_STATE_BULK_DELETE',
      failing: () => '',
      check: ({ states }, checks) => (states.length === 0 ? EMPTY : checks.keys(keysOf(states))),
    }),
    method({
      name: 'ExecuteStateTransaction',
      request: pb.ExecuteStateTransactionRequestSchema,
      reason: 'ERR_STATE_TRANSACTION',
      failing: () => 'error while executing state transaction: ',
      capability: 'TRANSACTIONAL',
      check: ({ operations }, checks) =>
        operations.length === 0 ? EMPTY : checks.operations(operations, spelling.refusesEmptyKey),
      // A stale ETag inside a transaction is INTERNAL in both APIs, everywhere else ABORTED.
      code: (code) => (code === Code.ABORTED ? Code.INTERNAL : code),
    }),
  ];
}

function stateMethod<Desc extends DescMessage>(spelling: Spelling, of: StateMethod<Desc>): UnaryMethod {
  const { refuse, service } = spelling;
  const { name, reason } = of;
  return forwarded({
    path: service + name,
    primitive: STATE,
    operation: `${pb.State.typeName}/${name}`,
    request: of.request,
    malformed: refuse(Code.INVALID_ARGUMENT, NOT_PROTOBUF, { reason: 'ERR_MALFORMED_REQUEST' }),
    component: (request) => storeOf(request),
    check: (request, behind) => {
      const store = storeOf(request);
      return (
        checkStore(behind, refuse, store, of.capability) ??
        of.check?.(request, new Checks(refuse, store, reason))
      );
    },
    failed: ({ code, message }: Failure, request) => {
      const text = of.failing(request) + clip(message);
      return refuse(of.code?.(code) ?? code, text, { reason });
    },
  });
}

function storeOf(request: unknown): string {
  return (request as StoreRequest).storeName;
}

function checkStore(
  behind: Behind,
  refuse: Refuse,
  store: string,
  capability: string | undefined,
): Refused | undefined {
  const component = behind.find(STATE, store);
  if (component === undefined) {
    return behind.serves(STATE)
      ? refuse(Code.INVALID_ARGUMENT, `state store ${clip(store)} is not found`, {
          reason: 'DAPR_STATE_NOT_FOUND',
        })
      : refuse(Code.FAILED_PRECONDITION, 'state store is not configured', {
          reason: 'DAPR_STATE_NOT_CONFIGURED',
        });
  }
  if (capability === undefined || behind.can(component, capability)) return undefined;
  return refuse(Code.UNIMPLEMENTED, `state store ${clip(store)} doesn't support transaction`, {
    reason: 'ERR_STATE_STORE_NOT_SUPPORTED',
  });
}

/** What is checked of keys, for one request. */
class Checks {
  constructor(
    private readonly refuse: Refuse,
    private readonly store: string,
    /** Dapr's reason for a failure of the method. */
    private readonly reason: string,
  ) {}

  /** @param needed whether it must not be empty */
  key(key: string, needed = false): Refused | undefined {
    if (needed && key === '') return this.#refused('state key cannot be empty', { reason: this.reason });
    // It separates the prefix from the key in the store.
    if (!key.includes('||')) return undefined;
    const shown = clip(key);
    return this.#refused(`input key/keyPrefix '${shown}' can't contain '||'`, {
      field: shown,
      resource: { type: STATE, name: clip(this.store) },
      reason: 'DAPR_STATE_ILLEGAL_KEY',
    });
  }

  keys(keys: Iterable<string>, needed = false): Refused | undefined {
    for (const key of keys) {
      const refused = this.key(key, needed);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  operations(
    operations: readonly pb.TransactionalStateOperation[],
    keysNeeded: boolean,
  ): Refused | undefined {
    for (const { operationType, request } of operations) {
      const upsert = operationType === 'upsert';
      if (!upsert && operationType !== 'delete') {
        const message = `operation type ${clip(operationType)} not supported`;
        return this.refuse(Code.UNIMPLEMENTED, message, { reason: 'ERR_NOT_SUPPORTED_STATE_OPERATION' });
      }
      const refused = this.key(request?.key ?? '', upsert && keysNeeded);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  #refused(message: string, details: Details): Refused {
    return this.refuse(Code.INVALID_ARGUMENT, message, details);
  }
}

function* keysOf(items: readonly pb.StateItem[]): Generator<string> {
  for (const { key } of items) yield key;
}
