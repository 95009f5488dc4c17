// What the JSON door knows of an operation; the table of them is generated
// from proto/.

import { literal, View, viewEquals } from '../wire/view';
import { Exchange } from './exchange';

/** Reads what the bridge answers behind the JSON door, for headers of the answer. One for all calls of a primitive. */
export abstract class AnswerReader {
  /** @param answer JSON that goes to the caller as it is */
  abstract read(exchange: Exchange, answer: View): void;
}

/** Where a value stands in a request: the field on each level, by the two names that proto3 JSON takes. */
export class JsonPath {
  private readonly jsonNames: Array<View>;
  private readonly protoNames: Array<View>;

  /**
   * @param text names of JSON with dots between them, for example "request.storeName"; shown in errors
   * @param protoText the same by the names of the .proto file, for example "request.store_name"
   */
  constructor(
    public readonly text: string,
    protoText: string,
  ) {
    this.jsonNames = literals(text);
    this.protoNames = literals(protoText);
  }

  /** How many levels there are. */
  get length(): i32 {
    return this.jsonNames.length;
  }

  /** Whether a key is that of a level, counted from 0. */
  at(level: i32, key: View): bool {
    return viewEquals(this.jsonNames[level], key) || viewEquals(this.protoNames[level], key);
  }
}

function literals(path: string): Array<View> {
  const names: Array<View> = [];
  const parts = path.split('.');
  for (let i = 0; i < parts.length; i++) names.push(literal(parts[i]));
  return names;
}

/** One operation. Made once for a VM. */
export class JsonOperation {
  readonly path: View;
  readonly primitiveName: View;
  readonly method: View;

  constructor(
    readonly primitive: string,
    /** The method's name, for example `GetState`. */
    readonly name: string,
    /** Full name of the bridge's method that takes the request as JSON. */
    method: string,
    readonly idempotent: bool,
    /** Where the component's name stands; null if the request names none. */
    readonly component: JsonPath | null,
    /** Where the keys stand that the operation writes; null if it writes none that are read by key. */
    readonly writes: JsonPath | null,
    /** It may change what any read of the component answers. */
    readonly writesAll: bool,
  ) {
    this.path = literal('/v1.0-layotto/' + primitive + '/' + name);
    this.primitiveName = literal(primitive);
    this.method = literal(method);
  }
}
