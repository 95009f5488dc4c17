// State behind a gRPC door. Layotto's and Dapr's messages share their field
// numbers with the bridge's, so a request is checked and forwarded as it came.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import {
  Consistency,
  DeleteBulkStateRequest,
  DeleteStateRequest,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetStateRequest,
  SaveStateRequest,
  StateItem,
} from '../../wire/gen/layotto/bridge/v1/state';
import { View, viewEquals, viewLen } from '../../wire/view';
import {
  checkStore,
  checkTransactional,
  DELETE,
  DELETE_BULK_STATE,
  DELETE_STATE,
  EXECUTE_STATE_TRANSACTION,
  GET_BULK_STATE,
  GET_STATE,
  isIllegalKey,
  Refusal,
  SAVE_STATE,
  UPSERT,
} from './operations';

/** Which method a failure belongs to; the doors' error texts and reasons differ by it. */
export enum Method {
  Get,
  BulkGet,
  Save,
  Delete,
  BulkDelete,
  Transaction,
}

/** How one API spells state errors over gRPC. */
export abstract class Spelling {
  /** Whether saving under an empty key is refused. */
  abstract get refusesEmptyKey(): bool;

  /** Answers a call that never reaches the bridge. @param subject the store, key or operation it is about */
  abstract refuse(exchange: Exchange, method: Method, refusal: Refusal, store: View, subject: View): void;

  /** Answers a call whose operation failed. */
  abstract fail(exchange: Exchange, method: Method, code: i32, message: View): void;
}

/** The text of a refusal, as both APIs give it. */
export function refusalText(exchange: Exchange, refusal: Refusal, store: View, subject: View): View {
  const w = exchange.writer();
  switch (refusal) {
    case Refusal.NotConfigured:
      w.text('state store is not configured');
      break;
    case Refusal.StoreNotFound:
      w.text('state store ');
      w.raw(clip(store));
      w.text(' is not found');
      break;
    case Refusal.IllegalKey:
      w.text("input key/keyPrefix '");
      w.raw(clip(subject));
      w.text("' can't contain '||'");
      break;
    case Refusal.EmptyKey:
      w.text('state key cannot be empty');
      break;
    case Refusal.UnknownOperation:
      w.text('operation type ');
      w.raw(clip(subject));
      w.text(' not supported');
      break;
    case Refusal.NotTransactional:
      w.text('state store ');
      w.raw(clip(store));
      w.text(" doesn't support transaction");
      break;
    default:
      w.text('the request message is not valid protobuf');
  }
  return w.view();
}

/** google.rpc.Code of a refusal. Layotto's UNKNOWN for an illegal key is INVALID_ARGUMENT here, which is what it means. */
export function refusalCode(refusal: Refusal): i32 {
  switch (refusal) {
    case Refusal.NotConfigured:
      return Code.FAILED_PRECONDITION;
    case Refusal.UnknownOperation:
    case Refusal.NotTransactional:
      return Code.UNIMPLEMENTED;
    default:
      return Code.INVALID_ARGUMENT;
  }
}

/** The text of a failed operation: what was attempted, then why it failed. */
export function failureText(exchange: Exchange, method: Method, store: View, key: View, message: View): View {
  const w = exchange.writer();
  switch (method) {
    case Method.Get:
      w.text('fail to get ');
      w.raw(key);
      w.text(' from state store ');
      w.raw(store);
      w.text(': ');
      break;
    case Method.Save:
      w.text('failed saving state in state store ');
      w.raw(store);
      w.text(': ');
      break;
    case Method.Delete:
      w.text('failed deleting state with key ');
      w.raw(key);
      w.text(': ');
      break;
    case Method.Transaction:
      w.text('error while executing state transaction: ');
      break;
    default:
  }
  w.raw(clip(message));
  return w.view();
}

/** A stale ETag inside a transaction is INTERNAL in both APIs, everywhere else ABORTED. */
export function failureCode(method: Method, code: i32): i32 {
  return method == Method.Transaction && code == Code.ABORTED ? Code.INTERNAL : code;
}

abstract class StateHandler extends Handler {
  /** For error texts. Views into the request where it is kept until the answer, copies elsewhere. */
  private store: View = 0;
  private key: View = 0;

  constructor(
    protected readonly spelling: Spelling,
    private readonly method: Method,
  ) {
    super();
  }

  /** What every method checks first; false when the call is answered. */
  protected accept(exchange: Exchange, decoded: bool, store: View): bool {
    let refusal = Refusal.Malformed;
    if (decoded) {
      const transaction = this.method == Method.Transaction;
      refusal = transaction ? checkTransactional(exchange, store) : checkStore(exchange, store);
    }
    if (refusal == Refusal.None) return true;
    this.refuse(exchange, refusal, store, 0);
    return false;
  }

  protected refuse(exchange: Exchange, refusal: Refusal, store: View, subject: View): Step {
    this.spelling.refuse(exchange, this.method, refusal, store, subject);
    return Step.Answer;
  }

  /** A read: the session keeps the request to repeat it, so views into it stay good. */
  protected read(exchange: Exchange, operation: View, store: View, key: View): Step {
    this.store = clip(store);
    this.key = clip(key);
    exchange.operation = operation;
    exchange.idempotent = true;
    return Step.Ask;
  }

  /** A write: its request is given back once sent. */
  protected write(exchange: Exchange, operation: View, store: View, key: View): Step {
    this.store = exchange.keep(clip(store));
    this.key = exchange.keep(clip(key));
    exchange.operation = operation;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = failureText(exchange, this.method, this.store, this.key, message);
    this.spelling.fail(exchange, this.method, failureCode(this.method, code), text);
  }
}

export class GetState extends StateHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.Get);
  }

  start(exchange: Exchange): Step {
    const request = new GetStateRequest();
    const decoded = request.decode(exchange.body);
    if (!this.accept(exchange, decoded, request.storeName)) return Step.Answer;
    if (isIllegalKey(request.key)) {
      return this.refuse(exchange, Refusal.IllegalKey, request.storeName, request.key);
    }
    exchange.reads(request.key, request.consistency == Consistency.STRONG || request.metadata.size > 0);
    return this.read(exchange, GET_STATE, request.storeName, request.key);
  }
}

export class GetBulkState extends StateHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.BulkGet);
  }

  start(exchange: Exchange): Step {
    const request = new GetBulkStateRequest();
    const decoded = request.decode(exchange.body);
    if (!this.accept(exchange, decoded, request.storeName)) return Step.Answer;
    if (request.keys.length == 0) {
      exchange.answerMessage(0);
      return Step.Answer;
    }
    for (let i = 0; i < request.keys.length; i++) {
      if (isIllegalKey(request.keys[i])) {
        return this.refuse(exchange, Refusal.IllegalKey, request.storeName, request.keys[i]);
      }
    }
    return this.read(exchange, GET_BULK_STATE, request.storeName, 0);
  }
}

/** SaveState and DeleteBulkState: a list of items that stand alone. */
abstract class ItemsHandler extends StateHandler {
  protected checkItems(exchange: Exchange, store: View, items: Array<StateItem>, keyNeeded: bool): Refusal {
    for (let i = 0; i < items.length; i++) {
      const refusal = checkItemKey(items[i].key, keyNeeded);
      if (refusal != Refusal.None) {
        this.refuse(exchange, refusal, store, items[i].key);
        return refusal;
      }
    }
    return Refusal.None;
  }
}

function checkItemKey(key: View, keyNeeded: bool): Refusal {
  if (keyNeeded && viewLen(key) == 0) return Refusal.EmptyKey;
  return isIllegalKey(key) ? Refusal.IllegalKey : Refusal.None;
}

export class SaveState extends ItemsHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.Save);
  }

  start(exchange: Exchange): Step {
    const request = new SaveStateRequest();
    const decoded = request.decode(exchange.body);
    if (!this.accept(exchange, decoded, request.storeName)) return Step.Answer;
    if (request.states.length == 0) {
      exchange.answerMessage(0);
      return Step.Answer;
    }
    const needed = this.spelling.refusesEmptyKey;
    if (this.checkItems(exchange, request.storeName, request.states, needed) != Refusal.None)
      return Step.Answer;
    for (let i = 0; i < request.states.length; i++) exchange.writes(request.states[i].key);
    return this.write(exchange, SAVE_STATE, request.storeName, 0);
  }
}

export class DeleteState extends StateHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.Delete);
  }

  start(exchange: Exchange): Step {
    const request = new DeleteStateRequest();
    const decoded = request.decode(exchange.body);
    if (!this.accept(exchange, decoded, request.storeName)) return Step.Answer;
    if (isIllegalKey(request.key)) {
      return this.refuse(exchange, Refusal.IllegalKey, request.storeName, request.key);
    }
    exchange.writes(request.key);
    return this.write(exchange, DELETE_STATE, request.storeName, request.key);
  }
}

export class DeleteBulkState extends ItemsHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.BulkDelete);
  }

  start(exchange: Exchange): Step {
    const request = new DeleteBulkStateRequest();
    const decoded = request.decode(exchange.body);
    if (!this.accept(exchange, decoded, request.storeName)) return Step.Answer;
    if (request.states.length == 0) {
      exchange.answerMessage(0);
      return Step.Answer;
    }
    if (this.checkItems(exchange, request.storeName, request.states, false) != Refusal.None)
      return Step.Answer;
    for (let i = 0; i < request.states.length; i++) exchange.writes(request.states[i].key);
    return this.write(exchange, DELETE_BULK_STATE, request.storeName, 0);
  }
}

export class ExecuteStateTransaction extends StateHandler {
  constructor(spelling: Spelling) {
    super(spelling, Method.Transaction);
  }

  start(exchange: Exchange): Step {
    const request = new ExecuteStateTransactionRequest();
    const decoded = request.decode(exchange.body);
    const store = request.storeName;
    if (!this.accept(exchange, decoded, store)) return Step.Answer;
    const operations = request.operations;
    if (operations.length == 0) {
      exchange.answerMessage(0);
      return Step.Answer;
    }
    for (let i = 0; i < operations.length; i++) {
      const kind = operations[i].operationType;
      const upsert = viewEquals(kind, UPSERT);
      if (!upsert && !viewEquals(kind, DELETE))
        return this.refuse(exchange, Refusal.UnknownOperation, store, kind);
      const item = operations[i].request;
      const key = item === null ? 0 : item.key;
      const problem = checkItemKey(key, upsert && this.spelling.refusesEmptyKey);
      if (problem != Refusal.None) return this.refuse(exchange, problem, store, key);
      exchange.writes(key);
    }
    return this.write(exchange, EXECUTE_STATE_TRANSACTION, store, 0);
  }
}
