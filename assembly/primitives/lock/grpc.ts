// Locks behind a gRPC door. Layotto's and Dapr's messages are the bridge's, so
// a request is checked and forwarded as it came.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import {
  LockKeepAliveRequest,
  TryLockRequest,
  TryLockResponse,
  UnlockRequest,
} from '../../wire/gen/layotto/bridge/v1/lock';
import { View } from '../../wire/view';
import { addFencingToken, check, LOCK_KEEP_ALIVE, Refusal, TRY_LOCK, UNLOCK } from './operations';

/** Beside a call that has no time to live. */
const NO_EXPIRY: i32 = 1;

/** How one API spells lock errors. */
export abstract class Spelling {
  /** The first thing that is wrong with a call, in this API's order. */
  check(exchange: Exchange, store: View, resource: View, owner: View, expire: i32): Refusal {
    return check(exchange, store, resource, owner, expire);
  }

  /** The text of a refusal. */
  refusal(exchange: Exchange, refusal: Refusal, store: View): View {
    const w = exchange.writer();
    if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
    else if (refusal == Refusal.NotConfigured) w.text('lock store is not configured');
    else if (refusal == Refusal.StoreNotFound) {
      w.text('lock store ');
      w.raw(clip(store));
      w.text(' not found');
    } else {
      if (refusal == Refusal.NoResource) w.text('ResourceId is empty');
      else if (refusal == Refusal.NoOwner) w.text('LockOwner is empty');
      else {
        w.text(this.expiry);
        w.text(' is not positive');
      }
      w.text(' in lock store ');
      w.raw(clip(store));
    }
    return w.view();
  }

  /** What the time to live is called. */
  protected abstract get expiry(): string;

  /** What stands before the reason of a failure to take a lock, and to change one. */
  abstract get taking(): string;
  abstract get changing(): string;
}

abstract class LockHandler extends Handler {
  constructor(protected readonly spelling: Spelling) {
    super();
  }

  /** Answers with the refusal, or asks the bridge for the operation. */
  protected enter(exchange: Exchange, refusal: Refusal, store: View, operation: View): Step {
    if (refusal != Refusal.None) {
      const code = refusal == Refusal.NotConfigured ? Code.FAILED_PRECONDITION : Code.INVALID_ARGUMENT;
      exchange.reply.grpcError(code, this.spelling.refusal(exchange, refusal, store));
      return Step.Answer;
    }
    exchange.operation = operation;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text(this.failing);
    w.raw(clip(message));
    exchange.reply.grpcError(code, w.view());
  }

  protected get failing(): string {
    return this.spelling.changing;
  }
}

/** Never sent twice: a lock that was taken would be refused to its own owner. */
export class TryLock extends LockHandler {
  start(exchange: Exchange): Step {
    const request = new TryLockRequest();
    const refusal = request.decode(exchange.body)
      ? this.spelling.check(
          exchange,
          request.storeName,
          request.resourceId,
          request.lockOwner,
          request.expire,
        )
      : Refusal.Malformed;
    return this.enter(exchange, refusal, request.storeName, TRY_LOCK);
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new TryLockResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addFencingToken(exchange, response);
    // The token is no part of either API's message.
    response.fencingToken = 0;
    const w = exchange.writer();
    response.encode(w);
    exchange.answerMessage(w.view());
  }

  protected get failing(): string {
    return this.spelling.taking;
  }
}

/** Never sent twice: the second answer would say that the lock is not there, or is another's. */
export class Unlock extends LockHandler {
  start(exchange: Exchange): Step {
    const request = new UnlockRequest();
    const refusal = request.decode(exchange.body)
      ? this.spelling.check(exchange, request.storeName, request.resourceId, request.lockOwner, NO_EXPIRY)
      : Refusal.Malformed;
    return this.enter(exchange, refusal, request.storeName, UNLOCK);
  }
}

export class LockKeepAlive extends LockHandler {
  start(exchange: Exchange): Step {
    const request = new LockKeepAliveRequest();
    const refusal = request.decode(exchange.body)
      ? this.spelling.check(
          exchange,
          request.storeName,
          request.resourceId,
          request.lockOwner,
          request.expire,
        )
      : Refusal.Malformed;
    // Done twice it is done: the time counts from then.
    exchange.idempotent = true;
    return this.enter(exchange, refusal, request.storeName, LOCK_KEEP_ALIVE);
  }
}
