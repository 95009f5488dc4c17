// Reads the fields of the plugin configuration, and keeps what they hold and the
// first thing that is wrong.

import { JsonKind, JsonReader } from '../wire/json';
import { View, viewLen, viewOf, viewPtr } from '../wire/view';

export class FieldReader {
  readonly json: JsonReader = new JsonReader();
  /** Empty, or what is wrong. */
  problem: string = '';
  private kept: Array<ArrayBuffer> = [];

  wrong(key: string, wanted: string): void {
    if (this.problem.length == 0) this.problem = '"' + key + '" must be ' + wanted;
    this.json.skip();
  }

  keep(value: View): View {
    const length = viewLen(value);
    if (length == 0) return 0;
    const buffer = new ArrayBuffer(length);
    memory.copy(changetype<usize>(buffer), viewPtr(value), length);
    this.kept.push(buffer);
    return viewOf(buffer);
  }

  text(key: string): View {
    if (this.json.peek() == JsonKind.STRING) return this.keep(this.json.string());
    this.wrong(key, 'a string');
    return 0;
  }

  flag(key: string): bool {
    const kind = this.json.peek();
    if (kind == JsonKind.TRUE || kind == JsonKind.FALSE) return this.json.boolean();
    this.wrong(key, 'true or false');
    return false;
  }

  whole(key: string, least: i64, most: i64): i64 {
    if (this.json.peek() == JsonKind.NUMBER) {
      const value = this.json.integer();
      if (value >= least && value <= most) return value;
      if (this.problem.length == 0) {
        this.problem = '"' + key + '" must be from ' + least.toString() + ' to ' + most.toString();
      }
      return least;
    }
    this.wrong(key, 'a number');
    return least;
  }

  texts(key: string): Array<View> {
    const values: Array<View> = [];
    if (!this.list(key)) return values;
    while (this.json.nextItem()) values.push(this.text(key));
    return values;
  }

  list(key: string): bool {
    if (this.json.peek() == JsonKind.ARRAY) return this.json.enterArray();
    this.wrong(key, 'an array');
    return false;
  }

  object(key: string): bool {
    if (this.json.peek() == JsonKind.OBJECT) return this.json.enterObject();
    this.wrong(key, 'an object');
    return false;
  }
}
