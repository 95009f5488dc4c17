// One call's dealings with the cache: what it was answered from, what its
// answer is kept under, and what it writes.

import { Component } from '../config/configuration';
import { View, viewLen } from '../wire/view';
import { Entry, NearCache } from './near-cache';

/** Longest answer kept: longer ones come on a link that does not tell of changes in order. */
const LONGEST: i32 = 64 * 1024;

export class CachedCall {
  private entry: Entry | null = null;
  /** Answered from the cache. */
  hit: bool = false;
  /** The stamp under which an answer that may be kept is asked for. */
  private stamp: u64 = 0;
  /** Slots of the keys that the call writes. */
  private slots: u64 = 0;

  /** Notes the keys that the call writes, while the request is at hand. */
  writes(cache: NearCache, component: Component, keys: Array<View>): void {
    for (let i = 0; i < keys.length; i++)
      this.slots |= (<u64>1) << (<u64>cache.slotOf(component.index, keys[i]));
  }

  /** The write is over, done or perhaps done: no thread may answer a read from before it. */
  written(cache: NearCache, component: Component): void {
    if (this.slots != 0) cache.written(component.index, this.slots);
    this.slots = 0;
  }

  /**
   * Looks for the answer to a read.
   *
   * @param now when the call came, in microseconds of the monotonic clock
   * @returns the answer, good until `release`; or no bytes, and what the bridge answers may be kept
   */
  find(cache: NearCache, component: Component, key: View, now: i64): View {
    const entry = cache.find(component.index, key, now - <i64>component.nearCacheMs * 1000);
    if (entry === null) {
      this.stamp = cache.stampOf(component.index, cache.slotOf(component.index, key));
      return 0;
    }
    this.entry = entry;
    this.hit = true;
    return entry.payload;
  }

  /** Keeps the bridge's answer. @returns false if it is not kept, and its buffer is still the caller's */
  keep(cache: NearCache, component: Component, key: View, buffer: View, message: View, asked: i64): bool {
    if (viewLen(message) > LONGEST) return false;
    this.entry = cache.keep(component.index, key, buffer, message, this.stamp, asked);
    return this.entry !== null;
  }

  /** The call is over. */
  release(): void {
    const entry = this.entry;
    this.entry = null;
    this.hit = false;
    this.slots = 0;
    if (entry !== null) entry.unpin();
  }
}
