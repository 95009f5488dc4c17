// Reading the state items of Dapr's HTTP API: JSON objects with key, value,
// etag, metadata and options. Names match whatever their case, unknown fields
// are left alone, and texts say what Go's decoder would (reference: Dapr HTTP
// API, conventions).

import { Exchange } from '../../dialects/exchange';
import { QueryMetadata } from '../../dialects/dapr-http';
import {
  Concurrency,
  Consistency,
  Etag,
  StateItem,
  StateOptions,
} from '../../wire/gen/layotto/bridge/v1/state';
import { JsonKind, JsonReader } from '../../wire/json';
import { MAX_ELEMENTS } from '../../wire/proto';
import { StringMap } from '../../wire/string-map';
import { literal, View, viewEquals, viewEqualsIgnoreCase, viewLen, viewPtr } from '../../wire/view';

const KEY = literal('key');
const VALUE = literal('value');
const ETAG = literal('etag');
const METADATA = literal('metadata');
const OPTIONS = literal('options');
const CONCURRENCY = literal('concurrency');
const CONSISTENCY = literal('consistency');
const FIRST_WRITE = literal('first-write');
const LAST_WRITE = literal('last-write');
const EVENTUAL = literal('eventual');
const STRONG = literal('strong');
const NULL = literal('null');

/** Options as the query or a body names them; an unknown name is an error only where a write is asked for. */
export function readOptions(concurrency: View, consistency: View, options: StateOptions): string {
  if (viewEquals(concurrency, FIRST_WRITE)) options.concurrency = Concurrency.FIRST_WRITE;
  else if (viewEquals(concurrency, LAST_WRITE)) options.concurrency = Concurrency.LAST_WRITE;
  else if (viewLen(concurrency) > 0) return 'concurrency';
  options.consistency = consistencyOf(consistency);
  return viewLen(consistency) > 0 && options.consistency == Consistency.UNSPECIFIED ? 'consistency' : '';
}

/** CONSISTENCY_UNSPECIFIED for an unknown name. */
export function consistencyOf(name: View): i32 {
  if (viewEquals(name, STRONG)) return Consistency.STRONG;
  return viewEquals(name, EVENTUAL) ? Consistency.EVENTUAL : Consistency.UNSPECIFIED;
}

/** Puts the query's metadata over the body's: of equal names the last one counts, so the query's first comes last. */
export function overrideMetadata(metadata: StringMap, query: QueryMetadata): void {
  for (let i = query.names.length - 1; i >= 0; i--) metadata.append(query.names[i], query.values[i]);
}

/** Reads bodies of the state API and remembers the first thing that is wrong. */
export class StateBody {
  readonly reader: JsonReader = new JsonReader();
  /** The first value of the wrong type, as an error text; empty when there is none. */
  wrongType: string = '';
  /** "concurrency" or "consistency" when an option has an unknown value, which `badOptionValue` is. */
  badOption: string = '';
  badOptionValue: View = 0;
  /** An item has no key. */
  keyMissing: bool = false;
  /** Items, keys and entries of metadata read: their memory is many times what they take in the body. */
  private elements: i32 = 0;

  constructor(
    private readonly exchange: Exchange,
    /** Names the structure in type errors, for example "SetRequest". */
    private readonly structure: string,
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

  /** One state item. Its value is the JSON as it came, so numbers keep every digit. */
  item(): StateItem {
    const item = new StateItem();
    item.value = NULL;
    if (this.object(this.structure, 'state.' + this.structure)) {
      while (this.reader.nextKey()) this.itemField(item);
    }
    if (viewLen(item.key) == 0) this.keyMissing = true;
    return item;
  }

  private itemField(item: StateItem): void {
    if (this.at(KEY)) item.key = this.text(this.structure + '.key');
    else if (this.at(VALUE)) item.value = this.reader.raw();
    else if (this.at(ETAG)) {
      const isText = this.reader.peek() == JsonKind.STRING;
      const value = this.text(this.structure + '.etag');
      if (isText) {
        const etag = new Etag();
        etag.value = value;
        item.etag = etag;
      }
    } else if (this.at(METADATA)) this.metadata(item.metadata);
    else if (this.at(OPTIONS)) this.options(item);
    else this.reader.skip();
  }

  private options(item: StateItem): void {
    const field = this.structure + '.options';
    let concurrency: View = 0;
    let consistency: View = 0;
    if (!this.object(field, 'state.SetStateOption')) return;
    while (this.reader.nextKey()) {
      if (this.at(CONCURRENCY)) concurrency = this.text(field + '.concurrency');
      else if (this.at(CONSISTENCY)) consistency = this.text(field + '.consistency');
      else this.reader.skip();
    }
    const options = new StateOptions();
    const bad = readOptions(concurrency, consistency, options);
    if (bad.length > 0 && this.badOption.length == 0) {
      this.badOption = bad;
      this.badOptionValue = bad == 'concurrency' ? concurrency : consistency;
    }
    item.options = options;
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
