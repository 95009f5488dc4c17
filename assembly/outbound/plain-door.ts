// The door that is none: calls that are not for the runtime. What the policy
// refuses is told in plain text, which Envoy makes a status for gRPC callers.

import { httpStatusOf } from '../dialects/codes';
import { Door } from '../dialects/door';
import { Exchange } from '../dialects/exchange';
import { Route } from '../dialects/router';
import { View } from '../wire/view';

export class PlainDoor extends Door {
  /** @param other what calls by an unusual method are counted as */
  constructor(private readonly other: Route) {
    super();
  }

  protected get unknown(): Route {
    return this.other;
  }

  route(exchange: Exchange): bool {
    return true;
  }

  /** Bodies pass as they are. */
  open(exchange: Exchange, body: View): bool {
    return true;
  }

  bodyLimit(messageBytes: i32): u32 {
    return u32.MAX_VALUE;
  }

  tooLarge(exchange: Exchange): void {}

  refuse(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.http(httpStatusOf(code), message);
    // For a caller that speaks gRPC.
    exchange.reply.grpcStatus = code;
  }
}
