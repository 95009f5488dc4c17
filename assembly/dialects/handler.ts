// What a primitive implements for each method behind each door.

import { literal, View } from '../wire/view';
import { Exchange, Step } from './exchange';

/** Says that the bridge's answer is not the message it should be. */
export const UNREADABLE = literal('the components bridge sent an answer that cannot be read');

/** One method of one API. Made for one call, so it may keep what its answer needs. */
export abstract class Handler {
  /**
   * The request is complete: `exchange.body` holds the gRPC message or the
   * HTTP body. Fills in the reply, or the operation to ask the bridge for.
   */
  abstract start(exchange: Exchange): Step;

  /** The bridge answered. @param payload the operation's response message, with headroom in front */
  onResult(exchange: Exchange, payload: View): void {}

  /** The caller went away before the operation was answered; neither of the others is called any more. */
  onGone(): void {}

  /**
   * What stands with a component denies the call. @returns whether the reply is filled in; else the door refuses it as
   * it refuses what the policy denies
   */
  onDenied(exchange: Exchange, message: View): bool {
    return false;
  }

  /** The operation failed or could not be sent. @param code google.rpc.Code @param message what happened, for people */
  onFailure(exchange: Exchange, code: i32, message: View): void {}
}

/** Makes the handler for a call. */
export type HandlerFactory = () => Handler;
