// Locks as Dapr's HTTP API spells them: /v1.0-alpha1/lock/{store} and
// /v1.0-alpha1/unlock/{store}.

import { Code, httpStatusOf } from '../../dialects/codes';
import { answerError, answerJson } from '../../dialects/dapr-http';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { JsonBody } from '../../dialects/json-body';
import { Router } from '../../dialects/router';
import {
  TryLockRequest,
  TryLockResponse,
  UnlockRequest,
  UnlockResponse,
} from '../../wire/gen/layotto/bridge/v1/lock';
import { literal, View, viewLen } from '../../wire/view';
import { DAPR_SPELLING } from './dapr-grpc';
import { addFencingToken, Refusal, TRY_LOCK, UNLOCK } from './operations';

const RESOURCE_ID = literal('resourceId');
const RESOURCE_ID_SNAKE = literal('resource_id');
const LOCK_OWNER = literal('lockOwner');
const LOCK_OWNER_SNAKE = literal('lock_owner');
const EXPIRY = literal('expiryInSeconds');
const EXPIRY_SNAKE = literal('expiry_in_seconds');

const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');
const ERR_LOCK_STORE_NOT_CONFIGURED = literal('ERR_LOCK_STORE_NOT_CONFIGURED');
const ERR_LOCK_STORE_NOT_FOUND = literal('ERR_LOCK_STORE_NOT_FOUND');
const ERR_TRY_LOCK = literal('ERR_TRY_LOCK');
const ERR_UNLOCK = literal('ERR_UNLOCK');

/** A lock body. Dapr reads it with protojson: names in either spelling, and nothing is required. */
class LockBody {
  resource: View = 0;
  owner: View = 0;
  expiry: i32 = 0;

  /** @returns what is wrong with it; empty when all is well */
  read(exchange: Exchange, structure: string): string {
    if (viewLen(exchange.body) == 0) return '';
    const body = new JsonBody(exchange, structure);
    if (body.object('', structure)) {
      while (body.reader.nextKey()) {
        if (body.at(RESOURCE_ID) || body.at(RESOURCE_ID_SNAKE)) this.resource = body.text('resourceId');
        else if (body.at(LOCK_OWNER) || body.at(LOCK_OWNER_SNAKE)) this.owner = body.text('lockOwner');
        else if (body.at(EXPIRY) || body.at(EXPIRY_SNAKE)) this.expiry = body.int32('expiryInSeconds');
        else body.reader.skip();
      }
    }
    return body.finish();
  }
}

abstract class LockHandler extends Handler {
  /** Reads and checks the body; null when the call is answered. @param timed whether it has a time to live */
  protected read(exchange: Exchange, structure: string, timed: bool): LockBody | null {
    const store = exchange.params[0];
    const body = new LockBody();
    const problem = body.read(exchange, structure);
    if (problem.length > 0) {
      const w = exchange.writer();
      w.text('failed deserializing HTTP body: ');
      w.text(problem);
      answerError(exchange, 400, ERR_MALFORMED_REQUEST, w.view());
      return null;
    }
    const expiry = timed ? body.expiry : 1;
    const refusal = DAPR_SPELLING.check(exchange, store, body.resource, body.owner, expiry);
    if (refusal == Refusal.None) return body;
    const text = DAPR_SPELLING.refusal(exchange, refusal, store);
    if (refusal == Refusal.NotConfigured) answerError(exchange, 500, ERR_LOCK_STORE_NOT_CONFIGURED, text);
    else if (refusal == Refusal.StoreNotFound) answerError(exchange, 400, ERR_LOCK_STORE_NOT_FOUND, text);
    else answerError(exchange, 400, ERR_MALFORMED_REQUEST, text);
    return null;
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text(this.failing);
    w.raw(clip(message));
    answerError(exchange, httpStatusOf(code), this.errorCode, w.view());
  }

  protected abstract get failing(): string;
  protected abstract get errorCode(): View;
}

/** POST /v1.0-alpha1/lock/{store} */
class TryLock extends LockHandler {
  start(exchange: Exchange): Step {
    const body = this.read(exchange, 'TryLockRequest', true);
    if (body === null) return Step.Answer;
    const request = new TryLockRequest();
    request.storeName = exchange.params[0];
    request.resourceId = body.resource;
    request.lockOwner = body.owner;
    request.expire = body.expiry;
    request.encode(exchange.requestWriter());
    exchange.operation = TRY_LOCK;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new TryLockResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addFencingToken(exchange, response);
    const w = exchange.writer();
    w.text(response.success ? '{"success":true}' : '{"success":false}');
    answerJson(exchange, 200, w.view());
  }

  protected get failing(): string {
    return DAPR_SPELLING.taking;
  }

  protected get errorCode(): View {
    return ERR_TRY_LOCK;
  }
}

/** POST /v1.0-alpha1/unlock/{store} */
class Unlock extends LockHandler {
  start(exchange: Exchange): Step {
    const body = this.read(exchange, 'UnlockRequest', false);
    if (body === null) return Step.Answer;
    const request = new UnlockRequest();
    request.storeName = exchange.params[0];
    request.resourceId = body.resource;
    request.lockOwner = body.owner;
    request.encode(exchange.requestWriter());
    exchange.operation = UNLOCK;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new UnlockResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    const w = exchange.writer();
    w.text('{"status":');
    w.decimal(response.status);
    w.text('}');
    answerJson(exchange, 200, w.view());
  }

  protected get failing(): string {
    return DAPR_SPELLING.changing;
  }

  protected get errorCode(): View {
    return ERR_UNLOCK;
  }
}

/** Enters the lock routes of Dapr's HTTP API. */
export function installDaprHttpLock(router: Router): void {
  router.http('lock', 'TryLock', 'POST', '/v1.0-alpha1/lock/{}', (): Handler => new TryLock());
  router.http('lock', 'Unlock', 'POST', '/v1.0-alpha1/unlock/{}', (): Handler => new Unlock());
}
