// Secrets behind a gRPC door. Layotto's and Dapr's messages are the bridge's,
// so a request is checked and forwarded as it came.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Refusal, refusalCode } from '../../dialects/store-refusal';
import { GetBulkSecretRequest, GetSecretRequest } from '../../wire/gen/layotto/bridge/v1/secret';
import { View } from '../../wire/view';
import { checkStore, failureCode, GET_BULK_SECRET, GET_SECRET } from './operations';

/** How one API spells secret errors. */
export abstract class Spelling {
  /** The text of a refusal. */
  abstract refusal(exchange: Exchange, refusal: Refusal, store: View): View;

  /** The text of a failure to get one secret. */
  abstract get(exchange: Exchange, store: View, key: View, reason: View): View;

  /** The text of a failure to get all of them. */
  abstract getBulk(exchange: Exchange, store: View, reason: View): View;
}

abstract class SecretHandler extends Handler {
  /** For error texts: views into the request, which the session keeps to repeat it. */
  protected store: View = 0;

  constructor(protected readonly spelling: Spelling) {
    super();
  }

  protected read(exchange: Exchange, decoded: bool, store: View, operation: View): Step {
    const refusal = decoded ? checkStore(exchange, store) : Refusal.Malformed;
    if (refusal != Refusal.None) {
      const text = this.spelling.refusal(exchange, refusal, clip(store));
      exchange.reply.grpcError(refusalCode(refusal), text);
      return Step.Answer;
    }
    this.store = clip(store);
    exchange.operation = operation;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    // Who may not read a secret is told that and no more, in the same words everywhere.
    const reason = clip(message);
    const text = code == Code.PERMISSION_DENIED ? reason : this.failureText(exchange, reason);
    exchange.reply.grpcError(failureCode(code), text);
  }

  protected abstract failureText(exchange: Exchange, reason: View): View;
}

export class GetSecret extends SecretHandler {
  private key: View = 0;

  start(exchange: Exchange): Step {
    const request = new GetSecretRequest();
    const decoded = request.decode(exchange.body);
    this.key = clip(request.key);
    exchange.asksFor(request.key);
    return this.read(exchange, decoded, request.storeName, GET_SECRET);
  }

  protected failureText(exchange: Exchange, reason: View): View {
    return this.spelling.get(exchange, this.store, this.key, reason);
  }
}

export class GetBulkSecret extends SecretHandler {
  start(exchange: Exchange): Step {
    const request = new GetBulkSecretRequest();
    const decoded = request.decode(exchange.body);
    return this.read(exchange, decoded, request.storeName, GET_BULK_SECRET);
  }

  protected failureText(exchange: Exchange, reason: View): View {
    return this.spelling.getBulk(exchange, this.store, reason);
  }
}
