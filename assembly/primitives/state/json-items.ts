// Reading the state items of Dapr's HTTP API: JSON objects with key, value,
// etag, metadata and options.

import { JsonBody } from '../../dialects/json-body';
import {
  Concurrency,
  Consistency,
  Etag,
  StateItem,
  StateOptions,
} from '../../wire/gen/layotto/bridge/v1/state';
import { JsonKind } from '../../wire/json';
import { literal, View, viewEquals, viewLen } from '../../wire/view';

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

/** Reads bodies of the state API. */
export class StateBody extends JsonBody {
  /** "concurrency" or "consistency" when an option has an unknown value, which `badOptionValue` is. */
  badOption: string = '';
  badOptionValue: View = 0;
  /** An item has no key. */
  keyMissing: bool = false;

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
