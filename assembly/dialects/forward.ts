// A call whose message becomes an HTTP request to another app, and whose answer
// becomes a message again.

import { Callee } from '../config/invocation';
import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';

/** What an API makes of the answer to a call that was forwarded. */
export abstract class Wrapping {
  /** Whether an HTTP status stands for an answer with a message. */
  abstract isGood(status: i32): bool;

  /** The google.rpc.Code of any other. */
  abstract codeOf(status: i32): i32;

  /** Writes the text of an error. */
  abstract writeMessage(w: ByteWriter, status: i32, body: View): void;

  /** Writes the error's details, as they stand in grpc-status-details-bin. */
  writeDetails(w: ByteWriter, status: i32, body: View): void {}

  /** A header that says the HTTP status; no bytes: none does. */
  get statusHeader(): View {
    return 0;
  }

  /** The google.rpc.Code and the text for an app that nobody knows. @param text what is said of it, in the form of grpc-message */
  abstract get unknownCode(): i32;
  abstract writeUnknown(w: ByteWriter, callee: View, text: View): void;

  /** Writes the text of what Envoy itself says in the callee's place. @param text in the form of grpc-message */
  abstract writeAbsence(w: ByteWriter, callee: View, text: View): void;
}

/** A request to be forwarded; its views are good as long as the exchange's. */
export class Forward {
  callee: Callee;
  /** The path by which Envoy finds the way. */
  way: View = 0;
  method: View = 0;
  /** No bytes: it has none. */
  contentType: View = 0;
  body: View = 0;
  /** It stays a gRPC call with this message, and its answer passes as it is. */
  grpc: bool = false;
  /** How long the callee may take, in milliseconds. */
  timeoutMs: i64 = 0;
  /** Layotto's header `id`; no bytes: it is not sent. */
  id: View = 0;

  constructor(
    callee: Callee,
    /** The app as its caller has named it. */
    readonly named: View,
    readonly wrapping: Wrapping,
  ) {
    this.callee = callee;
  }
}
