// What is kept in a cache and sent out of it.

/** Memory that goes when it is no longer kept and nobody sends it any more, whichever comes last. */
export abstract class Pinned {
  /** Exchanges that are sending it. */
  private pins: i32 = 0;
  /** No longer kept. */
  private dropped: bool = false;

  /** An exchange begins to send it. */
  pin(): void {
    this.pins++;
  }

  /** Lets go of a pin, and of the memory if nobody needs it any more. */
  unpin(): void {
    this.pins--;
    if (this.dropped && this.pins == 0) this.free();
  }

  /** It is no longer kept. */
  drop(): void {
    this.dropped = true;
    if (this.pins == 0) this.free();
  }

  /** Gives the memory back. Called once. */
  protected abstract free(): void;
}
