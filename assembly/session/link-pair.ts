// The two links to one bridge: small messages never wait behind large ones.

import { RootContext } from '../host/context';
import { Link, LinkOwner, LinkState } from './link';

export class LinkPair {
  constructor(
    readonly small: Link,
    readonly large: Link,
  ) {}

  /** Both links are up: every operation can be performed. */
  get ready(): bool {
    return this.small.state == LinkState.Ready && this.large.state == LinkState.Ready;
  }

  /** Whether a link is one of the two. */
  has(link: Link | null): bool {
    return link == this.small || link == this.large;
  }

  /** @param now monotonic milliseconds */
  tick(now: i64): void {
    this.small.tick(now);
    this.large.tick(now);
  }

  /** Somebody would use the links now. @param now monotonic milliseconds */
  want(now: i64): void {
    this.small.want(now);
    this.large.want(now);
  }

  /** Nothing new is sent on either; results still come. */
  drain(): void {
    this.small.drain();
    this.large.drain();
  }

  /** Ends both without waiting for the other side. */
  reset(): void {
    this.small.reset();
    this.large.reset();
  }

  /** A pair to the same clusters, not dialled yet. */
  successor(root: RootContext, owner: LinkOwner): LinkPair {
    return new LinkPair(this.small.successor(root, owner), this.large.successor(root, owner));
  }
}
