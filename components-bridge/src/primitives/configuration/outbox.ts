import { idOf } from './query.js';
import type { Change } from './watched-query.js';

/** Bytes of contents and tags in one message, about, if there are several items. */
const MESSAGE_BYTES = 512 * 1024;

/**
 * What a subscriber still has to be told: of each item only the latest, so that one who reads slowly costs no more
 * than what he subscribed to.
 */
export class Outbox<Subject> {
  readonly #pending = new Map<Subject, Map<string, Change>>();
  #failure: unknown;
  #failed = false;
  #wake: () => void = () => undefined;

  put(subject: Subject, changes: readonly Change[]): void {
    if (this.#failed) return;
    let pending = this.#pending.get(subject);
    if (pending === undefined) this.#pending.set(subject, (pending = new Map<string, Change>()));
    for (const change of changes) {
      const id = idOf(change.item);
      // The latest stands last.
      pending.delete(id);
      pending.set(id, change);
    }
    this.#wake();
  }

  /** Has changes told again that `next` gave and nobody took, except where something newer has come. */
  putBack(subject: Subject, changes: readonly Change[]): void {
    const newer = [...(this.#pending.get(subject)?.values() ?? [])];
    this.#pending.delete(subject);
    this.put(subject, changes);
    if (newer.length > 0) this.put(subject, newer);
  }

  /** Nothing more comes: `next` throws this. */
  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#failure = error;
    this.#pending.clear();
    this.#wake();
  }

  /**
   * Waits for something to tell.
   *
   * @returns whose it is, and some of it
   * @throws what `fail` was given
   */
  async next(): Promise<[Subject, Change[]]> {
    for (;;) {
      if (this.#failed) throw this.#failure;
      for (const [subject, pending] of this.#pending) {
        const changes = takeSome(pending);
        if (pending.size === 0) this.#pending.delete(subject);
        if (changes.length > 0) return [subject, changes];
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

function takeSome(pending: Map<string, Change>): Change[] {
  const changes: Change[] = [];
  let bytes = 0;
  for (const [id, change] of pending) {
    bytes += sizeOf(change);
    if (changes.length > 0 && bytes > MESSAGE_BYTES) break;
    pending.delete(id);
    changes.push(change);
  }
  return changes;
}

function sizeOf({ item, deleted }: Change): number {
  if (deleted) return item.key.length;
  let size = item.key.length + item.content.length;
  for (const [name, value] of Object.entries(item.tags)) size += name.length + value.length;
  for (const [name, value] of Object.entries(item.metadata)) size += name.length + value.length;
  return size;
}
