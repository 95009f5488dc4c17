// JSON bodies of Dapr's HTTP API, read as Go's decoder would: names match
// whatever their case, unknown fields are left alone, and the first value of
// the wrong type is remembered in its words.

import { JsonKind, JsonReader } from '../wire/json';
import { isInteger, toInteger } from '../wire/number';
import { MAX_ELEMENTS } from '../wire/proto';
import { StringMap } from '../wire/string-map';
import { View, viewEqualsIgnoreCase, viewLen, viewPtr, viewToString } from '../wire/view';
import { Exchange } from './exchange';

/** Reads a body and remembers the first thing that is wrong. */
export class JsonBody {
  readonly reader: JsonReader = new JsonReader();
  /** The first value of the wrong type, as an error text; empty when there is none. */
  wrongType: string = '';
  /** Items, keys and entries of metadata read: their memory is many times what they take in the body. */
  private elements: i32 = 0;

  constructor(
    private readonly exchange: Exchange,
    /** Names the structure in type errors, for example "SetRequest". */
    protected readonly structure: string,
  ) {
    this.reader.reset(exchange.body);
  }

  /** Ends the reading: what is wrong with the JSON itself or a type in it; empty when all is well. */
  finish(): string {
    let problem = this.reader.ok ? this.wrongType : this.reader.errorText();
    if (this.elements > MAX_ELEMENTS)
      problem = 'more than ' + MAX_ELEMENTS.toString() + ' items and entries of metadata';
    // What the reader unescaped is kept elsewhere by now.
    this.reader.reset(0);
    return problem;
  }

  /** Notes a value of the wrong type and skips it. @param field for example "SetRequest.etag" */
  wrong(field: string, wanted: string): void {
    const kind = kindName(this.reader.peek());
    if (this.wrongType.length == 0 && kind.length > 0) {
      this.wrongType =
        field.length == 0
          ? 'json: cannot unmarshal ' + kind + ' into Go value of type ' + wanted
          : 'json: cannot unmarshal ' + kind + ' into Go struct field ' + field + ' of type ' + wanted;
    }
    this.reader.skip();
  }

  /** A string, or no bytes for null. */
  text(field: string): View {
    const kind = this.reader.peek();
    if (kind == JsonKind.STRING) return this.lasting(this.reader.string());
    if (kind == JsonKind.NULL) this.reader.skip();
    else this.wrong(field, 'string');
    return 0;
  }

  /** A whole number of 32 bits, also as a text, as protojson reads it; 0 for null. */
  int32(field: string): i32 {
    const kind = this.reader.peek();
    if (kind != JsonKind.NUMBER && kind != JsonKind.STRING) {
      if (kind == JsonKind.NULL) this.reader.skip();
      else this.wrong(field, 'int32');
      return 0;
    }
    const text = kind == JsonKind.NUMBER ? this.reader.number() : this.reader.string();
    if (!this.reader.ok) return 0;
    // 5.0 and 5e0 are whole numbers too.
    const value: f64 =
      isInteger(text) || kind == JsonKind.STRING ? <f64>toInteger(text) : parseFloat(viewToString(text));
    const whole = kind == JsonKind.NUMBER || isInteger(text);
    if (whole && value >= i32.MIN_VALUE && value <= i32.MAX_VALUE && Math.floor(value) == value)
      return <i32>value;
    if (this.wrongType.length == 0) this.wrongType = 'invalid value for int32 field ' + field;
    return 0;
  }

  /** A text as it is if it stands in the body, which outlives the request message, else a copy. */
  private lasting(text: View): View {
    const body = this.exchange.body;
    const offset = viewPtr(text) - viewPtr(body);
    return offset < <usize>viewLen(body) ? text : this.exchange.keep(text);
  }

  /** Goes to the next item of an array, as the reader does; false also past the most items there may be. */
  nextItem(): bool {
    return this.reader.nextItem() && ++this.elements <= MAX_ELEMENTS;
  }

  /** Enters an object; false for null, and for anything else, which is noted. */
  object(field: string, wanted: string): bool {
    const kind = this.reader.peek();
    if (kind == JsonKind.OBJECT) return this.reader.enterObject();
    if (kind == JsonKind.NULL) this.reader.skip();
    else this.wrong(field, wanted);
    return false;
  }

  /** Enters an array; false for null, and for anything else, which is noted. */
  array(field: string, wanted: string): bool {
    const kind = this.reader.peek();
    if (kind == JsonKind.ARRAY) return this.reader.enterArray();
    if (kind == JsonKind.NULL) this.reader.skip();
    else this.wrong(field, wanted);
    return false;
  }

  /** Whether the field being read has this name. */
  at(name: View): bool {
    return viewEqualsIgnoreCase(this.reader.key, name);
  }

  metadata(into: StringMap): void {
    const field = this.structure + '.metadata';
    if (!this.object(field, 'map[string]string')) return;
    while (this.reader.nextKey() && ++this.elements <= MAX_ELEMENTS) {
      const name = this.lasting(this.reader.key);
      into.append(name, this.text(field));
    }
  }
}

function kindName(kind: JsonKind): string {
  switch (kind) {
    case JsonKind.OBJECT:
      return 'object';
    case JsonKind.ARRAY:
      return 'array';
    case JsonKind.STRING:
      return 'string';
    case JsonKind.NUMBER:
      return 'number';
    case JsonKind.TRUE:
    case JsonKind.FALSE:
      return 'bool';
    default:
      return '';
  }
}
