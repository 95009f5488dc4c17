// Whom the app may invoke: the callees of the configuration, and those that a
// pattern finds.

import { Component } from './component';
import { FieldReader } from './field-reader';
import { JsonKind } from '../wire/json';
import { ByteWriter } from '../wire/bytes';
import {
  literal,
  View,
  viewByte,
  viewEquals,
  viewEqualsIgnoreCase,
  viewIndexOf,
  viewLen,
  viewOf,
  viewPtr,
  viewSlice,
} from '../wire/view';

const K_CALLEES = literal('callees');
const K_PATTERN = literal('pattern');
const K_NAMESPACE = literal('namespace');
const K_CHANNEL = literal('channel');
const K_NAME = literal('name');
const K_GRPC = literal('grpc');
const K_ENDPOINT = literal('endpoint');
const K_TIMEOUT = literal('timeoutMs');
const K_TEXT = literal('text');
const K_DNS = literal('dns');

const PLACE_APP = literal('{app}');
const PLACE_NAMESPACE = literal('{namespace}');
const BRACE: u8 = 0x7b;
const DOT: u8 = 0x2e;
const COLON: u8 = 0x3a;
const BAR: u8 = 0x7c;

/** Apps that a pattern finds and that get labels of their own, and how long their names may be. */
const MOST_FOUND: i32 = 256;
const LONGEST_NAME: i32 = 253;
const OTHER = literal('other');
const INVOKE = literal('invoke');

/** Somebody whom the app may invoke. */
export class Callee extends Component {
  /** Speaks gRPC: `InvokeService` reaches it as OnInvoke. */
  grpc: bool = false;
  /** A place of the web, that Dapr calls an HTTPEndpoint. */
  endpoint: bool = false;
  /** A pattern has found it: it has no route of its own. */
  found: bool = false;
  /** How long a call may take, in milliseconds; 0: as long as its caller likes. */
  timeoutMs: i32 = 0;
}

export class Invocation {
  /** The configuration names it: it is served. */
  served: bool = false;
  /** What Layotto's configuration has instead of HTTP; no bytes: HTTP. */
  channel: View = 0;
  private namespace: View = literal('default');
  private pattern: View = 0;
  /** The pattern makes a host and a port, not the name of a cluster. */
  private dns: bool = false;
  private readonly callees: Array<Callee> = [];
  private configured: i32 = 0;
  /** For apps without a label of their own. */
  private readonly other: Callee = new Callee();
  private readonly kept: Array<ArrayBuffer> = [];
  /** Calls to one callee often come one after the other. */
  private last: i32 = 0;

  constructor() {
    this.other.name = OTHER;
    this.other.primitive = INVOKE;
    this.other.found = true;
  }

  /** Numbers of callees begin where those of components end. */
  number(first: i32): void {
    this.other.index = first;
    for (let i = 0; i < this.callees.length; i++) this.callees[i].index = first + 1 + i;
  }

  /** There is nobody to invoke. */
  get knowsNobody(): bool {
    return this.configured == 0 && this.pattern == 0;
  }

  /** Names of the places of the web among the callees. */
  get endpoints(): Array<View> {
    const names = new Array<View>();
    for (let i = 0; i < this.configured; i++) {
      if (this.callees[i].endpoint) names.push(this.callees[i].name);
    }
    return names;
  }

  /** How many numbers there may be. */
  get most(): i32 {
    return 1 + this.configured + (this.pattern == 0 ? 0 : MOST_FOUND);
  }

  /** @param index from 0 */
  labelAt(index: i32): View {
    return index == 0 ? OTHER : this.callees[index - 1].name;
  }

  /** The callee that has exactly this name in the configuration, so that its route knows the name too; or null. */
  exactly(name: View): Callee | null {
    const callees = this.callees;
    if (this.last < this.configured && viewEquals(callees[this.last].name, name)) return callees[this.last];
    for (let i = 0; i < this.configured; i++) {
      if (!viewEquals(callees[i].name, name)) continue;
      this.last = i;
      return callees[i];
    }
    return null;
  }

  /** The callee that an app id means, or null: by its name, with or without its own namespace, or by the pattern. */
  find(id: View): Callee | null {
    const named = this.named(id);
    if (named !== null) return named;
    const dot = viewIndexOf(id, DOT);
    if (dot > 0 && viewEquals(viewSlice(id, dot + 1, viewLen(id)), this.namespace)) {
      const local = this.named(viewSlice(id, 0, dot));
      if (local !== null) return local;
    }
    return this.pattern != 0 && isAppId(id) ? this.foundAs(id) : null;
  }

  private named(name: View): Callee | null {
    for (let i = 0; i < this.configured; i++) {
      if (viewEqualsIgnoreCase(this.callees[i].name, name)) return this.callees[i];
    }
    return null;
  }

  private foundAs(id: View): Callee {
    for (let i = this.configured; i < this.callees.length; i++) {
      if (viewEquals(this.callees[i].name, id)) return this.callees[i];
    }
    const length = viewLen(id);
    if (this.callees.length >= this.configured + MOST_FOUND) return this.other;
    const copy = new ArrayBuffer(length);
    memory.copy(changetype<usize>(copy), viewPtr(id), length);
    this.kept.push(copy);
    const callee = new Callee();
    callee.name = viewOf(copy);
    callee.primitive = INVOKE;
    callee.found = true;
    callee.index = this.other.index + 1 + this.callees.length;
    this.callees.push(callee);
    return callee;
  }

  /**
   * Writes where the pattern finds an app: a cluster's name, or a host with its port.
   *
   * @param id an app id, with or without a namespace
   */
  writePlace(id: View, w: ByteWriter): void {
    const dot = viewIndexOf(id, DOT);
    const app = dot > 0 ? viewSlice(id, 0, dot) : id;
    const namespace = dot > 0 ? viewSlice(id, dot + 1, viewLen(id)) : this.namespace;
    const pattern = this.pattern;
    const length = viewLen(pattern);
    for (let at = 0; at < length;) {
      const rest = viewSlice(pattern, at, length);
      if (starts(rest, PLACE_APP)) {
        w.raw(app);
        at += viewLen(PLACE_APP);
      } else if (starts(rest, PLACE_NAMESPACE)) {
        w.raw(namespace);
        at += viewLen(PLACE_NAMESPACE);
      } else {
        w.u8(viewByte(pattern, at));
        at++;
      }
    }
  }

  get usesDns(): bool {
    return this.dns;
  }

  /** The host of a place: of a mesh's cluster what stands behind the last bar, without a port. */
  static hostOf(place: View): View {
    let from = viewLen(place);
    while (from > 0 && viewByte(place, from - 1) != BAR) from--;
    const host = viewSlice(place, from, viewLen(place));
    const colon = viewIndexOf(host, COLON);
    return colon < 0 ? host : viewSlice(host, 0, colon);
  }

  read(fields: FieldReader): void {
    if (!fields.object('invoke')) return;
    const reader = fields.json;
    this.served = true;
    while (reader.nextKey()) {
      const key = reader.key;
      if (viewEquals(key, K_CALLEES)) this.readCallees(fields);
      else if (viewEquals(key, K_PATTERN)) this.readPattern(fields);
      else if (viewEquals(key, K_NAMESPACE)) this.namespace = fields.text('invoke.namespace');
      else if (viewEquals(key, K_CHANNEL)) this.channel = fields.text('invoke.channel');
      else reader.skip();
    }
    this.configured = this.callees.length;
  }

  private readCallees(fields: FieldReader): void {
    const reader = fields.json;
    if (reader.peek() != JsonKind.ARRAY) {
      fields.wrong('invoke.callees', 'an array of objects');
      return;
    }
    reader.enterArray();
    while (reader.nextItem()) {
      if (!fields.object('invoke.callees[]')) continue;
      const callee = new Callee();
      callee.primitive = INVOKE;
      while (reader.nextKey()) {
        if (viewEquals(reader.key, K_NAME)) callee.name = fields.text('invoke.callees[].name');
        else if (viewEquals(reader.key, K_GRPC)) callee.grpc = fields.flag('invoke.callees[].grpc');
        else if (viewEquals(reader.key, K_ENDPOINT))
          callee.endpoint = fields.flag('invoke.callees[].endpoint');
        else if (viewEquals(reader.key, K_TIMEOUT))
          callee.timeoutMs = <i32>fields.whole('invoke.callees[].timeoutMs', 1, 1 << 30);
        else reader.skip();
      }
      if (callee.name == 0 && fields.problem.length == 0) fields.problem = 'a callee needs "name"';
      this.callees.push(callee);
    }
  }

  private readPattern(fields: FieldReader): void {
    if (!fields.object('invoke.pattern')) return;
    const reader = fields.json;
    while (reader.nextKey()) {
      if (viewEquals(reader.key, K_TEXT)) this.pattern = fields.text('invoke.pattern.text');
      else if (viewEquals(reader.key, K_DNS)) this.dns = fields.flag('invoke.pattern.dns');
      else reader.skip();
    }
  }
}

function starts(text: View, place: View): bool {
  return viewByte(text, 0) == BRACE && viewEquals(viewSlice(text, 0, viewLen(place)), place);
}

/** Whether a name can be a part of a host's or a cluster's, with at most one dot: it must not make it another's. */
function isAppId(id: View): bool {
  const length = viewLen(id);
  if (length == 0 || length > LONGEST_NAME) return false;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const c = viewByte(id, i);
    if (c == DOT) {
      if (i == 0 || i == length - 1 || ++dots > 1) return false;
    } else if (!((c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c == 0x2d || c == 0x5f))
      return false;
  }
  return true;
}
