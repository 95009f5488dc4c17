// A door: one spelling of the runtime API.

import { literal, View } from '../wire/view';
import { Code } from './codes';
import { Exchange } from './exchange';
import { Route } from './router';

const UNAUTHORIZED = literal('Unauthorized');

export abstract class Door {
  /**
   * Finds the handler for a call, or fills in the reply that refuses it.
   *
   * @returns false when the reply is filled in
   */
  abstract route(exchange: Exchange): bool;

  /** What the call is counted as. */
  routeOf(exchange: Exchange): Route {
    const route = exchange.route;
    return route === null ? this.unknown : route;
  }

  /** What a call is counted as of which nothing is known. */
  get noRoute(): Route {
    return this.unknown;
  }

  /** For calls that were refused before it was known what they call. */
  protected abstract get unknown(): Route;

  /**
   * Takes the complete request body apart.
   *
   * @returns false when the reply is filled in
   */
  abstract open(exchange: Exchange, body: View): bool;

  /** Refuses a call for a reason that belongs to no primitive. @param code google.rpc.Code */
  abstract refuse(exchange: Exchange, code: i32, message: View): void;

  /** Refuses a call that does not hold the API token. @param missing it holds none */
  refuseToken(exchange: Exchange, missing: bool): void {
    this.refuse(exchange, Code.UNAUTHENTICATED, UNAUTHORIZED);
  }

  /** Names a code in the body of an HTTP error; no bytes behind doors that have none. */
  errorCode(exchange: Exchange, code: i32): View {
    return 0;
  }

  /** The request is longer than `limits.messageBytes`. */
  abstract tooLarge(exchange: Exchange): void;

  /** Longest body this door reads for a message of `limits.messageBytes`. */
  abstract bodyLimit(messageBytes: i32): u32;
}
