// What the filter reads of a request behind the JSON door: that it is JSON at
// all, which component it names, and which keys it writes. The bridge reads
// the rest, and refuses what these checks let through.

import { JsonKind, JsonReader } from '../wire/json';
import { MAX_ELEMENTS } from '../wire/proto';
import { isUtf8, View, viewByte, viewLen, viewPtr } from '../wire/view';
import { Code } from './codes';
import { Exchange } from './exchange';
import { JsonPath } from './json-operation';

export class JsonRequest {
  /** The component's name; no bytes if there is none. Good until `free`. */
  component: View = 0;
  /** Why the request is refused: google.rpc.Code, text, and perhaps what the text is about. */
  code: i32 = Code.OK;
  problem: string = '';
  subject: View = 0;
  private readonly reader: JsonReader = new JsonReader();
  /** Levels of the path that were met. */
  private met: u32 = 0;

  constructor(private readonly exchange: Exchange) {}

  /** Notes why the request is refused; returns false. */
  refuse(code: i32, problem: string): bool {
    if (this.code == Code.OK) {
      this.code = code;
      this.problem = problem;
    }
    return false;
  }

  /** Reads the body once. @returns false when the request is refused */
  check(path: JsonPath | null): bool {
    const body = this.exchange.body;
    const reader = this.reader;
    reader.reset(body);
    if (viewLen(body) == 0) return this.wrong('the request body is empty: it must be a JSON object');
    if (!isUtf8(body)) return this.wrong('the request body is not UTF-8');
    if (path !== null) this.findComponent(path, 0);
    else this.passObject();
    if (this.code != Code.OK) return false;
    if (reader.ok && !isBlank(reader.rest())) return this.wrong('something follows the JSON of the request');
    if (!reader.ok) {
      return this.wrong(
        'the request body is not JSON: ' + reader.errorText() + ', at byte ' + reader.errorAt.toString(),
      );
    }
    if (reader.elements > MAX_ELEMENTS) {
      return this.wrong('the request has more than ' + MAX_ELEMENTS.toString() + ' items and members');
    }
    return true;
  }

  /** Notes the keys that the request writes, so that no kept answer to a read outlives them. */
  noteWrites(path: JsonPath): void {
    this.reader.reset(this.exchange.body);
    this.noteKeys(path, 0);
  }

  /** Gives back what was read. */
  free(): void {
    this.component = 0;
    this.subject = 0;
    this.reader.reset(0);
  }

  private wrong(problem: string): bool {
    return this.refuse(Code.INVALID_ARGUMENT, problem);
  }

  private passObject(): void {
    if (this.reader.peek() == JsonKind.OBJECT) this.reader.skip();
    else if (this.reader.ok) this.wrong('the request body is not a JSON object');
  }

  private findComponent(path: JsonPath, level: i32): void {
    const reader = this.reader;
    if (reader.peek() != JsonKind.OBJECT) {
      if (reader.ok)
        this.wrong(level == 0 ? 'the request body is not a JSON object' : path.text + ' is not there');
      return;
    }
    reader.enterObject();
    while (reader.nextKey()) {
      if (!path.at(level, reader.key)) continue;
      // Two names would leave it to chance whose component the call is about.
      if ((this.met & (1 << level)) != 0) {
        this.wrong(path.text + ' is set more than once');
        return;
      }
      this.met |= 1 << level;
      if (level + 1 < path.length) this.findComponent(path, level + 1);
      else if (reader.peek() == JsonKind.STRING) this.component = reader.string();
      else if (reader.peek() != JsonKind.NULL && reader.ok) this.wrong(path.text + ' is not a string');
      if (this.code != Code.OK) return;
    }
  }

  /** Keys of lists and objects on the way, wherever they are; what is of another kind the bridge refuses. */
  private noteKeys(path: JsonPath, level: i32): void {
    const reader = this.reader;
    const kind = reader.peek();
    if (kind == JsonKind.ARRAY) {
      reader.enterArray();
      while (reader.nextItem()) this.noteKeys(path, level);
    } else if (kind == JsonKind.OBJECT && level < path.length) {
      reader.enterObject();
      while (reader.nextKey()) if (path.at(level, reader.key)) this.noteKeys(path, level + 1);
    } else if (kind == JsonKind.STRING && level == path.length) {
      this.exchange.writes(this.lasting(reader.string()));
    } else reader.skip();
  }

  /** A text as it is if it stands in the body, which outlives this, else a copy. */
  private lasting(text: View): View {
    const body = this.exchange.body;
    return viewPtr(text) - viewPtr(body) < <usize>viewLen(body) ? text : this.exchange.keep(text);
  }
}

function isBlank(text: View): bool {
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const byte = viewByte(text, i);
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return false;
  }
  return true;
}
