import type { FilterFacts } from './greeting.js';
import type { Pair } from './operations.js';
import type { SessionStream } from './stream.js';

/** What is known of a stream: whose it is, and what it said of itself, once it has said hello. */
export interface Member {
  stream: SessionStream;
  pair: Pair | undefined;
  filter?: FilterFacts;
  /** Says that its filter cannot be told anything by it any more. */
  left?: () => void;
}

/** The session streams that are open, and the filters that they belong to: each has a pair of them. */
export class Members {
  readonly #members = new Map<SessionStream, Member>();
  readonly #pairs = new Set<Pair>();
  readonly #pairsById = new Map<bigint, Pair>();

  /** How many streams are open. */
  get size(): number {
    return this.#members.size;
  }

  get streams(): Iterable<SessionStream> {
    return this.#members.keys();
  }

  get pairs(): Iterable<Pair> {
    return this.#pairs;
  }

  /** What those that have said hello said of themselves. */
  get filters(): FilterFacts[] {
    return [...this.#members.values()].flatMap(({ filter }) => filter ?? []);
  }

  /** Operations at work. */
  get running(): number {
    let sum = 0;
    for (const pair of this.#pairs) sum += pair.running;
    return sum;
  }

  /** Bytes of the requests of those. */
  get runningBytes(): number {
    let sum = 0;
    for (const pair of this.#pairs) sum += pair.runningBytes;
    return sum;
  }

  /** Bytes of answers that filters have not taken yet. */
  get backlog(): number {
    let sum = 0;
    for (const stream of this.#members.keys()) sum += stream.backlog;
    return sum;
  }

  /** Bytes of messages that have come in part. */
  get parts(): number {
    let sum = 0;
    for (const stream of this.#members.keys()) sum += stream.held;
    return sum;
  }

  of(stream: SessionStream): Member | undefined {
    return this.#members.get(stream);
  }

  /** A stream has come, and has not said whose it is. */
  add(stream: SessionStream): void {
    this.#members.set(stream, { stream, pair: undefined });
  }

  /** The pair of this id, or a new one. @param id 0: the stream stands alone */
  pairOf(id: bigint, make: () => Pair): Pair {
    const known = id === 0n ? undefined : this.#pairsById.get(id);
    if (known !== undefined) return known;
    const pair = make();
    this.#pairs.add(pair);
    if (id !== 0n) this.#pairsById.set(id, pair);
    return pair;
  }

  /** A stream has gone, and its pair with it if it was the last. @returns whether it was there */
  remove(stream: SessionStream): boolean {
    const member = this.#members.get(stream);
    if (member === undefined) return false;
    this.#members.delete(stream);
    member.left?.();
    const { pair } = member;
    pair?.remove(stream);
    if (pair?.empty === true) this.#forget(pair);
    return true;
  }

  #forget(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const [id, known] of this.#pairsById) if (known === pair) this.#pairsById.delete(id);
  }
}
