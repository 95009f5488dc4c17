// What a primitive may do beside answering calls: keep something for as long
// as its configuration lasts, and ask the bridge for something that no call
// waits for.

import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';

/** What a primitive keeps per root context, behind all of its routes. */
export abstract class RoomState {}

/** Who waits for something that was asked in the background. Told once, also if the bridge is lost. */
export abstract class Listener {
  /** @param payload the response message; valid during the call only */
  abstract onResult(payload: View): void;

  abstract onFailure(): void;
}

/** What primitives count beside calls; of the root context, since it began. */
export class Tally {
  /** Ids out of runs that Envoy had, ids that the bridge was asked for instead, and runs that it gave. */
  idsOfRuns: i64 = 0;
  idsOfBridge: i64 = 0;
  runs: i64 = 0;
}

export interface Background {
  /**
   * Asks the bridge, and makes the root context the effective one.
   *
   * @param request the request message, built in a writer of `requestWriter`
   * @returns false if the bridge cannot be asked now; then the listener is not told
   */
  askAlone(method: View, request: ByteWriter, listener: Listener): bool;

  readonly tally: Tally;
}
