// What the app is subscribed to, as the bridge said last: ready to be put into
// the metadata, so that nothing of it has to be understood here.

import { View, viewLen, viewOf, viewPtr } from '../wire/view';

/** Longest that is kept of each, in bytes. */
const LONGEST: i32 = 256 * 1024;

export class KnownSubscriptions {
  private jsonBytes: ArrayBuffer | null = null;
  private messageBytes: ArrayBuffer | null = null;

  /** A list in JSON; 0 if there are none. */
  get json(): View {
    return viewOrNone(this.jsonBytes);
  }

  /** Fields of Dapr's GetMetadataResponse; 0 if there are none. */
  get message(): View {
    return viewOrNone(this.messageBytes);
  }

  /** Takes over what the bridge says now. */
  note(json: View, message: View): void {
    this.jsonBytes = copy(json);
    this.messageBytes = copy(message);
  }
}

function viewOrNone(bytes: ArrayBuffer | null): View {
  return bytes === null ? 0 : viewOf(bytes);
}

function copy(bytes: View): ArrayBuffer | null {
  const length = viewLen(bytes);
  if (length == 0 || length > LONGEST) return null;
  const own = new ArrayBuffer(length);
  memory.copy(changetype<usize>(own), viewPtr(bytes), length);
  return own;
}
