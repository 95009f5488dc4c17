// What is kept in a cache and sent out of it.

import { release } from '../host/memory';
import { View, view, viewEquals, viewLen, viewPtr } from '../wire/view';

/**
 * An answer, and the request that it answers. Memory that goes when it is no longer kept and nobody sends it any more,
 * whichever comes last. All of it is outside of the garbage collector, which else would go through thousands of
 * answers whenever it collects what a few calls have left.
 */
// @ts-ignore: decorator
@unmanaged
export class Kept {
  /** Exchanges that are sending it. */
  private pins: i32 = 0;
  /** No longer kept. */
  private dropped: bool = false;
  private readonly request: View;

  /**
   * @param request is copied
   * @param buffer holds the payload; a buffer of the host's, which is this answer's from here
   * @param payload the response message, with headroom in front
   */
  constructor(
    readonly component: i32,
    request: View,
    private readonly buffer: View,
    readonly payload: View,
  ) {
    this.request = copyOf(request);
  }

  /** Bytes of the request and of the buffer. */
  get bytes(): i32 {
    return viewLen(this.request) + viewLen(this.buffer);
  }

  /** Good as long as the answer is. */
  get asked(): View {
    return this.request;
  }

  /** Whether it answers this request. */
  is(component: i32, request: View): bool {
    return this.component == component && viewEquals(this.request, request);
  }

  /** An exchange begins to send it. */
  pin(): void {
    this.pins++;
  }

  /** Lets go of a pin, and of the memory if nobody needs it any more: do not touch it after this. */
  unpin(): void {
    this.pins--;
    if (this.dropped && this.pins == 0) this.free();
  }

  /** It is no longer kept: do not touch it after this, but for `unpin`. */
  drop(): void {
    this.dropped = true;
    if (this.pins == 0) this.free();
  }

  private free(): void {
    release(this.buffer);
    heap.free(viewPtr(this.request));
    heap.free(changetype<usize>(this));
  }
}

function copyOf(v: View): View {
  const length = viewLen(v);
  if (length == 0) return 0;
  const copy = heap.alloc(length);
  memory.copy(copy, viewPtr(v), length);
  return view(copy, length);
}
