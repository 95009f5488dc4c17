// Answers of the bridge kept in Envoy, for stores that ask for it: a read that
// may be a little old is then answered with no hop at all.
//
// An answer is given up when the bridge says that its key has changed, when it
// is too old, and when any thread of this Envoy has written the key since: a
// writer must read what it wrote, also through another thread. For that, keys
// are spread over a few slots, and each slot has a stamp in the data that all
// threads share. A write gives its slot a new stamp before its caller hears of
// it; an answer is good only while its slot has the stamp it was read under.

import { Configuration } from '../config/configuration';
import { randomU64 } from '../host/clock';
import { getSharedU64, setSharedU64 } from '../host/shared-data';
import { ByteWriter } from '../wire/bytes';
import { View, viewLen, viewPtr } from '../wire/view';
import { Kept } from './kept';

/** Entries at most: a key has one place, and whoever comes later takes it. A power of two. */
const PLACES: i32 = 4096;
/** Slots a component's keys are spread over; a set of them fits a u64. */
const SLOTS: u32 = 64;
/** What an entry takes beside its answer's buffer, about, in bytes. */
const OVERHEAD: i32 = 160;
const SLASH: u8 = 0x2f;

/** An answer that is kept. */
// @ts-ignore: decorator
@unmanaged
export class Entry extends Kept {
  constructor(
    component: i32,
    key: View,
    buffer: View,
    payload: View,
    readonly slot: u32,
    readonly stamp: u64,
    /** When it was asked for, in microseconds of the monotonic clock. */
    readonly askedAt: i64,
  ) {
    super(component, key, buffer, payload);
  }

  get size(): i32 {
    return this.bytes + OVERHEAD;
  }
}

/** One root context's cache. */
export class NearCache {
  private places: Array<Entry | null> = new Array<Entry | null>(0);
  private names: Array<ByteWriter | null>;
  /** No two writes give the same stamp: threads count from different beginnings. */
  private nextStamp: u64 = randomU64();
  /** Bytes kept. */
  bytes: i64 = 0;
  hits: i64 = 0;
  misses: i64 = 0;
  invalidations: i64 = 0;
  /** Where the search for something to give up goes on. */
  private hand: i32 = 0;

  constructor(private readonly configuration: Configuration) {
    this.names = new Array<ByteWriter | null>(configuration.components.length * <i32>SLOTS);
  }

  /** The slot of a key. */
  slotOf(component: i32, key: View): u32 {
    return hash(component, key) % SLOTS;
  }

  /** The stamp that an answer asked for now would be read under. */
  stampOf(component: i32, slot: u32): u64 {
    return getSharedU64(this.name(component, slot));
  }

  /**
   * The answer kept for a key, pinned; null if there is none, or none that is good.
   *
   * @param notBefore when it must have been asked for, or later, in microseconds of the monotonic clock
   */
  find(component: i32, key: View, notBefore: i64): Entry | null {
    const entry = this.at(component, key);
    if (entry === null || !entry.is(component, key)) {
      this.misses++;
      return null;
    }
    if (entry.askedAt < notBefore || entry.stamp != this.stampOf(component, entry.slot)) {
      this.remove(entry);
      this.misses++;
      return null;
    }
    this.hits++;
    entry.pin();
    return entry;
  }

  /**
   * Keeps an answer; its buffer is the cache's from here, and the entry is pinned. Null, and nothing is taken, if it
   * has no room.
   */
  keep(component: i32, key: View, buffer: View, payload: View, stamp: u64, askedAt: i64): Entry | null {
    const size = viewLen(buffer) + viewLen(key) + OVERHEAD;
    const limit = this.configuration.cacheBytes;
    if (<i64>size > limit / 8) return null;
    const old = this.at(component, key);
    if (old !== null) this.remove(old);
    while (this.bytes + size > limit) this.removeNext();
    const place = this.placeOf(component, key);
    const entry = new Entry(component, key, buffer, payload, this.slotOf(component, key), stamp, askedAt);
    if (this.places.length == 0) this.places = new Array<Entry | null>(PLACES);
    this.places[place] = entry;
    this.bytes += entry.size;
    entry.pin();
    return entry;
  }

  /** A key has changed. */
  invalidate(component: i32, key: View): void {
    this.invalidations++;
    const entry = this.at(component, key);
    if (entry !== null && entry.is(component, key)) this.remove(entry);
  }

  /** Any key of a component may have changed. */
  invalidateAll(component: i32): void {
    this.invalidations++;
    for (let i = 0; i < this.places.length; i++) {
      const entry = this.places[i];
      if (entry !== null && entry.component == component) this.remove(entry);
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (let i = 0; i < this.places.length; i++) {
      const entry = this.places[i];
      if (entry !== null) this.remove(entry);
    }
  }

  /** Keys were written, in these slots: no answer read before is good any more, in any thread. */
  written(component: i32, slots: u64): void {
    for (let rest = slots; rest != 0; rest &= rest - 1) {
      setSharedU64(this.name(component, <u32>ctz(rest)), this.nextStamp++);
    }
  }

  private at(component: i32, key: View): Entry | null {
    return this.places.length == 0 ? null : this.places[this.placeOf(component, key)];
  }

  private placeOf(component: i32, key: View): i32 {
    return <i32>((hash(component, key) / SLOTS) % <u32>PLACES);
  }

  private remove(entry: Entry): void {
    const place = this.placeOf(entry.component, entry.asked);
    this.bytes -= entry.size;
    this.places[place] = null;
    entry.drop();
  }

  private removeNext(): void {
    for (let i = 0; i < PLACES; i++) {
      this.hand = (this.hand + 1) % PLACES;
      const entry = this.places[this.hand];
      if (entry !== null) {
        this.remove(entry);
        return;
      }
    }
  }

  /** Under which name a slot's stamp is shared. */
  private name(component: i32, slot: u32): View {
    const index = component * <i32>SLOTS + <i32>slot;
    let name = this.names[index];
    if (name === null) {
      name = new ByteWriter(64);
      name.text('layotto.near_cache/');
      name.raw(this.configuration.appId);
      name.u8(SLASH);
      name.raw(this.configuration.components[component].name);
      name.u8(SLASH);
      name.decimal(slot);
      this.names[index] = name;
    }
    return name.view();
  }
}

/** FNV-1a. Keys made to collide only take each other's place. */
function hash(component: i32, key: View): u32 {
  let h: u32 = 0x811c9dc5 ^ (<u32>component);
  const start = viewPtr(key);
  for (let i = 0, n = viewLen(key); i < n; i++) h = (h ^ load<u8>(start + i)) * 0x01000193;
  // The low bits choose the slot and the high ones the place; FNV mixes upwards only.
  return h ^ (h >>> 15);
}
