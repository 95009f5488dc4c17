// The streams of a VM by their ids. Every callback begins with a look here, so
// it has to be cheap: the host gives ids in order, and so the lowest bits of an
// id are nearly always a place of its own.

import { HttpContext } from './context';

const FIRST_PLACES: i32 = 64;
/** No context has this id. */
const NOBODY: u32 = 0;

/** A hash table with open addressing; it grows with the streams that are open at a time. */
export class StreamTable {
  private ids: StaticArray<u32> = new StaticArray<u32>(FIRST_PLACES);
  private contexts: StaticArray<HttpContext | null> = new StaticArray<HttpContext | null>(FIRST_PLACES);
  private mask: u32 = FIRST_PLACES - 1;
  private count: i32 = 0;

  get size(): i32 {
    return this.count;
  }

  /** The context that has an id, or null. */
  // @ts-ignore: decorator
  @inline
  find(id: u32): HttpContext | null {
    const mask = this.mask;
    const ids = this.ids;
    let at = id & mask;
    while (unchecked(ids[at]) != id) {
      if (unchecked(ids[at]) == NOBODY) return null;
      at = (at + 1) & mask;
    }
    return unchecked(this.contexts[at]);
  }

  /** Enters a context, in the place of another with the same id if there is one. */
  set(id: u32, context: HttpContext): void {
    let at = this.placeOf(id);
    if (unchecked(this.ids[at]) == NOBODY) {
      if (++this.count << 1 > this.ids.length) {
        this.grow();
        at = this.placeOf(id);
      }
      unchecked((this.ids[at] = id));
    }
    unchecked((this.contexts[at] = context));
  }

  /** Takes a context out. @returns it, or null if none has the id */
  take(id: u32): HttpContext | null {
    const mask = this.mask;
    const ids = this.ids;
    let hole = this.placeOf(id);
    if (unchecked(ids[hole]) == NOBODY) return null;
    const taken = unchecked(this.contexts[hole]);
    this.count--;
    // Whoever stands behind the hole because its own place was taken moves up.
    for (let at = (hole + 1) & mask; unchecked(ids[at]) != NOBODY; at = (at + 1) & mask) {
      const wanted = unchecked(ids[at]) & mask;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      unchecked((ids[hole] = ids[at]));
      unchecked((this.contexts[hole] = this.contexts[at]));
      hole = at;
    }
    unchecked((ids[hole] = NOBODY));
    unchecked((this.contexts[hole] = null));
    return taken;
  }

  /** Tells all of them that the module ends, but for one. */
  trapped(except: u32): void {
    const contexts = this.contexts;
    for (let i = 0; i < contexts.length; i++) {
      const context = unchecked(contexts[i]);
      if (context !== null && context.id != except) context.onTrap();
    }
  }

  /** Where an id stands, or would. There is always a free place, at which a search ends. */
  private placeOf(id: u32): u32 {
    const mask = this.mask;
    const ids = this.ids;
    let at = id & mask;
    while (unchecked(ids[at]) != NOBODY && unchecked(ids[at]) != id) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const ids = this.ids;
    const contexts = this.contexts;
    this.ids = new StaticArray<u32>(ids.length << 1);
    this.contexts = new StaticArray<HttpContext | null>(contexts.length << 1);
    this.mask = this.ids.length - 1;
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] == NOBODY) continue;
      const at = this.placeOf(ids[i]);
      this.ids[at] = ids[i];
      this.contexts[at] = contexts[i];
    }
  }
}
