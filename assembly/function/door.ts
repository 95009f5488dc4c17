// The door of functions: a refusal is an HTTP status and a line of text.

import { httpStatusOf } from '../dialects/codes';
import { Door } from '../dialects/door';
import { Exchange } from '../dialects/exchange';
import { Route } from '../dialects/router';
import { View } from '../wire/view';

export class FunctionDoor extends Door {
  /** google.rpc.Code of what was refused last. */
  code: i32 = 0;

  /** @param entry what calls of the function are counted as */
  constructor(private readonly entry: Route) {
    super();
  }

  protected get unknown(): Route {
    return this.entry;
  }

  route(exchange: Exchange): bool {
    return true;
  }

  open(exchange: Exchange, body: View): bool {
    return true;
  }

  bodyLimit(messageBytes: i32): u32 {
    return <u32>messageBytes;
  }

  tooLarge(exchange: Exchange): void {}

  refuse(exchange: Exchange, code: i32, message: View): void {
    this.code = code;
    exchange.reply.http(httpStatusOf(code), message);
  }
}
