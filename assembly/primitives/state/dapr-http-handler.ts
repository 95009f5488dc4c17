// What the state handlers of Dapr's HTTP API share: the store and key in the
// path, and the errors.

import { answerEmpty, answerError, QueryMetadata } from '../../dialects/dapr-http';
import { Code, httpStatusOf } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { literal, View } from '../../wire/view';
import { ERR_MALFORMED_REQUEST, failureReason } from './dapr-grpc';
import { illegalKey, notTransactional, storeRefused } from './dapr-http-errors';
import { failureText, Method, refusalText } from './grpc';
import { StateBody } from './json-items';
import { checkStore, checkTransactional, isIllegalKey, Refusal } from './operations';

const QUERY_TOO_LONG = literal(
  "the query's metadata, once for each item, is longer than limits.message: put it into the items, or send fewer",
);
const KEY_REQUIRED = literal('"key" is a required field');

/** A call to one store, and perhaps one key. */
export abstract class StateHandler extends Handler {
  private key: View = 0;
  protected store: View = 0;

  constructor(private readonly method: Method) {
    super();
  }

  /** Takes the store from the path; false when the call is answered. */
  protected enter(exchange: Exchange): bool {
    this.store = exchange.params[0];
    const refusal =
      this.method == Method.Transaction
        ? checkTransactional(exchange, this.store)
        : checkStore(exchange, this.store);
    if (refusal == Refusal.None) return true;
    if (refusal == Refusal.NotTransactional) notTransactional(exchange, this.store);
    else storeRefused(exchange, refusal, this.store);
    return false;
  }

  /** Takes the key from the path; false when the call is answered. */
  protected enterKey(exchange: Exchange): bool {
    if (!this.enter(exchange)) return false;
    this.key = exchange.params[1];
    return !this.refusedKey(exchange, this.key);
  }

  protected refusedKey(exchange: Exchange, key: View): bool {
    if (!isIllegalKey(key)) return false;
    const text = refusalText(exchange, Refusal.IllegalKey, this.store, key);
    illegalKey(exchange, this.store, this.method == Method.Transaction ? 0 : key, text);
    return true;
  }

  protected malformed(exchange: Exchange, message: View): Step {
    answerError(exchange, 400, ERR_MALFORMED_REQUEST, message);
    return Step.Answer;
  }

  /** The query's metadata goes into every item; false when the call is answered because they would be too long. */
  protected checkQuery(exchange: Exchange, query: QueryMetadata, items: i32): bool {
    if (query.fits(items, exchange.configuration.messageBytes)) return true;
    this.malformed(exchange, QUERY_TOO_LONG);
    return false;
  }

  protected malformedText(exchange: Exchange, prefix: string, problem: string): Step {
    const w = exchange.writer();
    w.text(prefix);
    w.text(problem);
    return this.malformed(exchange, w.view());
  }

  /** An option with an unknown value fails like the operation it belongs to. */
  protected badOption(exchange: Exchange, option: string, value: View): Step {
    const w = exchange.writer();
    w.text('unrecognized ' + option + " model '");
    w.raw(clip(value));
    w.text("'");
    this.onFailure(exchange, Code.INTERNAL, w.view());
    return Step.Answer;
  }

  /** Checks what a body said about its items; false when the call is answered. */
  protected checkBody(exchange: Exchange, body: StateBody, prefix: string): bool {
    const problem = body.finish();
    if (problem.length == 0) return this.checkItems(exchange, body);
    this.malformedText(exchange, prefix, problem);
    return false;
  }

  /** Checks keys and options of a body's items; false when the call is answered. */
  protected checkItems(exchange: Exchange, body: StateBody): bool {
    if (body.keyMissing) this.malformed(exchange, KEY_REQUIRED);
    else if (body.badOption.length > 0) this.badOption(exchange, body.badOption, body.badOptionValue);
    else return true;
    return false;
  }

  /** The bridge's answer is not the message it should be. */
  protected unreadable(exchange: Exchange): void {
    this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
  }

  onResult(exchange: Exchange, payload: View): void {
    answerEmpty(exchange);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = failureText(exchange, this.method, this.store, clip(this.key), message);
    // A stale ETag in a transaction is 500 in Dapr, everywhere else 409.
    const status = this.method == Method.Transaction && code == Code.ABORTED ? 500 : httpStatusOf(code);
    answerError(exchange, status, failureReason(this.method), text);
  }
}
