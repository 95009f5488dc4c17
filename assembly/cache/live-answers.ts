// Answers that the bridge keeps up to date and Envoy gives by itself: it sends
// an answer again when it changes, and now and then says which of them are
// still right. An answer's age is the time since it was last known to be what
// the store would say; how old it may be stands in the component's settings.
//
// While the bridge is there, an answer is given only if the bridge has told it
// in this session, so that it will tell of its changes too. Else it is asked,
// and only if it cannot answer may an older answer stand in for it.
//
// A writer must read what it wrote, also through another thread of this Envoy:
// the moment at which a write ended is shared by all of them, and answers known
// to be right before it are not given.

import { Configuration } from '../config/configuration';
import { monotonicUs } from '../host/clock';
import { allocate } from '../host/memory';
import { getSharedU64, setSharedU64 } from '../host/shared-data';
import { ByteWriter } from '../wire/bytes';
import { View, viewLen, viewPtr } from '../wire/view';
import { Kept } from './kept';

/** What an answer takes beside its bytes and its request's, about. */
const OVERHEAD: i32 = 256;
/** What the bridge says is on its way for less; else its clock is not this machine's. In microseconds. */
const LONGEST_WAY: i64 = 60000000;
const SLASH: u8 = 0x2f;

/** An answer that the bridge keeps up to date. */
// @ts-ignore: decorator
@unmanaged
export class LiveAnswer extends Kept {
  /** Given since the search for something to give up came by. */
  used: bool = true;

  constructor(
    component: i32,
    request: View,
    payload: View,
    /** What the bridge calls it in this session; 0 in a session that has not told it. */
    public id: u32,
    /** When it was last known to be right, in microseconds of the monotonic clock. */
    public currentAt: i64,
  ) {
    super(component, request, payload, payload);
  }

  get size(): i32 {
    return this.bytes + OVERHEAD;
  }
}

/** One root context's live answers. */
export class LiveAnswers {
  /** By a hash of component and request; of two that collide the later one is kept. */
  private answers: Map<u64, LiveAnswer> = new Map<u64, LiveAnswer>();
  private byId: Map<u32, LiveAnswer> = new Map<u32, LiveAnswer>();
  private names: Array<ByteWriter | null>;
  /** Bytes kept. */
  bytes: i64 = 0;
  hits: i64 = 0;
  misses: i64 = 0;
  /** Given because the bridge could not answer. */
  substitutes: i64 = 0;

  constructor(private readonly configuration: Configuration) {
    this.names = new Array<ByteWriter | null>(configuration.components.length);
  }

  /** A session begins: what was told before is told again, or is not kept up to date any more. */
  begin(): void {
    const ids = this.byId.keys();
    for (let i = 0; i < ids.length; i++) this.byId.get(ids[i]).id = 0;
    this.byId.clear();
  }

  /**
   * The bridge tells an answer.
   *
   * @param request and @param response are copied
   * @param ageUs how old it was when that was said, in microseconds
   * @param saidUs when it was said, by the machine's clock; 0 if the bridge does not say
   */
  put(component: i32, request: View, response: View, id: u32, ageUs: u64, saidUs: u64): void {
    const hash = hashOf(component, request);
    this.removeAt(hash);
    const size = viewLen(request) + viewLen(response) + OVERHEAD;
    const limit = this.configuration.cacheBytes;
    if (<i64>size > limit) return;
    this.makeRoom(limit - size);
    const payload = allocate(viewLen(response));
    memory.copy(viewPtr(payload), viewPtr(response), viewLen(response));
    const answer = new LiveAnswer(component, request, payload, id, momentOf(ageUs, saidUs));
    this.answers.set(hash, answer);
    this.byId.set(id, answer);
    this.bytes += answer.size;
  }

  /** The bridge has no such answer any more. */
  withdraw(component: i32, request: View): void {
    const hash = hashOf(component, request);
    if (this.answers.has(hash) && this.answers.get(hash).is(component, request)) this.removeAt(hash);
  }

  /** Answers were right so many microseconds before that was said. */
  fresh(ids: Array<u32>, ageUs: u64, saidUs: u64): void {
    const at = momentOf(ageUs, saidUs);
    for (let i = 0; i < ids.length; i++) {
      if (!this.byId.has(ids[i])) continue;
      const answer = this.byId.get(ids[i]);
      if (answer.currentAt < at) answer.currentAt = at;
    }
  }

  /** What the bridge tells cannot be read: nothing that is here can be relied on. */
  clear(): void {
    const hashes = this.answers.keys();
    for (let i = 0; i < hashes.length; i++) this.removeAt(hashes[i]);
  }

  /**
   * The answer to a request, pinned; null if there is none that may be given.
   *
   * @param now microseconds of the monotonic clock
   * @param substitute the bridge cannot answer
   */
  find(component: i32, request: View, now: i64, substitute: bool): LiveAnswer | null {
    const answer = this.givable(component, request, now, substitute);
    if (answer === null) {
      if (!substitute) this.misses++;
      return null;
    }
    if (substitute) this.substitutes++;
    else this.hits++;
    answer.used = true;
    answer.pin();
    return answer;
  }

  private givable(component: i32, request: View, now: i64, substitute: bool): LiveAnswer | null {
    const hash = hashOf(component, request);
    if (!this.answers.has(hash)) return null;
    const answer = this.answers.get(hash);
    if (!answer.is(component, request) || (answer.id == 0 && !substitute)) return null;
    const staleness = <i64>this.configuration.components[component].answerInEnvoyMs * 1000;
    if (now - answer.currentAt > staleness) return null;
    if (answer.currentAt <= <i64>getSharedU64(this.nameOf(component))) return null;
    return answer;
  }

  /** A write of a component is over, done or perhaps done. */
  written(component: i32): void {
    setSharedU64(this.nameOf(component), <u64>monotonicUs());
  }

  /** Gives up what was not given for longest, about, until no more than `limit` is kept. */
  private makeRoom(limit: i64): void {
    if (this.bytes <= limit) return;
    const hashes = this.answers.keys();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < hashes.length && this.bytes > limit; i++) {
        if (!this.answers.has(hashes[i])) continue;
        const answer = this.answers.get(hashes[i]);
        if (answer.used) answer.used = false;
        else this.removeAt(hashes[i]);
      }
    }
  }

  private removeAt(hash: u64): void {
    if (!this.answers.has(hash)) return;
    const answer = this.answers.get(hash);
    this.answers.delete(hash);
    if (answer.id != 0 && this.byId.has(answer.id) && this.byId.get(answer.id) == answer) {
      this.byId.delete(answer.id);
    }
    this.bytes -= answer.size;
    answer.drop();
  }

  /** Under which name the end of a component's last write is shared. */
  private nameOf(component: i32): View {
    let name = this.names[component];
    if (name === null) {
      name = new ByteWriter(64);
      name.text('layotto.live_answers/');
      name.raw(this.configuration.appId);
      name.u8(SLASH);
      name.raw(this.configuration.components[component].name);
      this.names[component] = name;
    }
    return name.view();
  }
}

/**
 * When an answer was right, in microseconds of the monotonic clock. The time on the way counts: a write may have ended
 * in it.
 */
function momentOf(ageUs: u64, saidUs: u64): i64 {
  const now = monotonicUs();
  const way = now - <i64>saidUs;
  const same = saidUs != 0 && way >= 0 && way < LONGEST_WAY;
  return (same ? <i64>saidUs : now) - <i64>ageUs;
}

/** FNV-1a of 64 bits. */
function hashOf(component: i32, request: View): u64 {
  let h: u64 = 0xcbf29ce484222325 ^ (<u64>component);
  const start = viewPtr(request);
  for (let i = 0, n = viewLen(request); i < n; i++) h = (h ^ load<u8>(start + i)) * 0x100000001b3;
  return h;
}
