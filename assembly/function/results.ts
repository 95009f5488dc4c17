// What a function gets for what it asked.

import { httpStatusOf } from '../dialects/codes';
import { View, viewLen, viewPtr, viewToString } from '../wire/view';

/** Bytes of an answer, copied: they are the function's to keep. */
export class Content {
  constructor(
    /** The bytes as they came. */
    readonly bytes: ArrayBuffer,
  ) {}

  /** The bytes as text; what is not UTF-8 becomes U+FFFD. */
  get text(): string {
    return viewToString(((<u64>this.bytes.byteLength) << 32) | changetype<usize>(this.bytes));
  }
}

/** Copies bytes that are somebody else's. */
export function copied(bytes: View): ArrayBuffer {
  const copy = new ArrayBuffer(viewLen(bytes));
  memory.copy(changetype<usize>(copy), viewPtr(bytes), viewLen(bytes));
  return copy;
}

/** A value of a state store. */
export class StateValue extends Content {
  constructor(
    readonly key: string,
    bytes: ArrayBuffer,
    /** Its version, for a save or delete that is to happen only if nobody else was faster. */
    readonly etag: string,
  ) {
    super(bytes);
  }

  /** Whether there is one. */
  get found(): bool {
    return this.bytes.byteLength > 0 || this.etag.length > 0;
  }
}

/** An entry of a configuration store. */
export class ConfigurationValue {
  constructor(
    readonly key: string,
    readonly content: string,
    readonly group: string,
    readonly label: string,
  ) {}
}

/** The answer of another function, or of an app. */
export class Answer extends Content {
  constructor(
    /** Id of the function, or of the app, that was called. */
    readonly from: string,
    /** HTTP status. */
    readonly status: i32,
    readonly contentType: string,
    bytes: ArrayBuffer,
  ) {
    super(bytes);
  }
}

/** Why something that was asked for did not happen. */
export class Failure {
  constructor(
    /** The operation, for example `GetState`. */
    readonly operation: string,
    /** What it was about: a key, a topic, a function's id. */
    readonly subject: string,
    /** google.rpc.Code. */
    readonly code: i32,
    readonly message: string,
  ) {}

  /** The HTTP status that stands for the code. */
  get status(): i32 {
    return httpStatusOf(this.code);
  }
}
