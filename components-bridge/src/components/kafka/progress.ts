/** What a group's members leave to each other beside the offset, in the metadata of a commit. */
const FORM = 'layotto:1';
/** Brokers take 4096 bytes by default. */
const LONGEST = 2_000;

/**
 * How far a group is in a partition. Messages are settled in any order; Kafka knows one number only: everything before it
 * is done with. That is the first message that is not settled. Which of those after it are settled, and how often the
 * others were delivered, stands in the commit's metadata, so that another member delivers little again, and counts on.
 */
export class Progress {
  /** Messages that are here and not settled, in their order, with how often they were delivered. */
  readonly #open = new Map<number, number>();
  readonly #settled = new Set<number>();
  readonly #before: ReadonlyMap<number, number>;
  /** What comes next from the broker. */
  #next: number;
  #low: number;

  /** @param left what the last commit left: its offset, and its metadata; by default nothing */
  constructor(left: { offset: number; metadata: string } = { offset: -1, metadata: '' }) {
    this.#next = left.offset;
    this.#low = left.offset;
    const { settled, attempts } = parse(left);
    for (const offset of settled) this.#settled.add(offset);
    this.#before = attempts;
  }

  /** The first message that is not settled: what is to be committed; -1 as long as nothing is known. */
  get low(): number {
    return this.#low;
  }

  /** Messages that are here and not settled. */
  get open(): number {
    return this.#open.size;
  }

  /** Offsets from the first one that is not settled to the last one that has come. */
  get span(): number {
    return this.#next - this.#low;
  }

  /** Settled messages after one that is not. */
  get ahead(): number {
    return this.#settled.size;
  }

  /** A message came. @returns whether it is new; false: it is here, or settled */
  take(offset: number): boolean {
    const known = offset < this.#low || this.#open.has(offset) || this.#settled.has(offset);
    if (offset >= this.#next) this.#next = offset + 1;
    if (!known) this.#open.set(offset, this.#before.get(offset) ?? 0);
    this.#advance();
    return !known;
  }

  /** Everything before an offset has come. */
  passed(offset: number): void {
    this.#next = Math.max(this.#next, offset);
    this.#advance();
  }

  /** A message is being delivered. @returns for how many times */
  deliver(offset: number): number {
    const attempt = (this.#open.get(offset) ?? 0) + 1;
    this.#open.set(offset, attempt);
    return attempt;
  }

  settle(offset: number): void {
    if (this.#open.delete(offset)) this.#settled.add(offset);
    this.#advance();
  }

  /** The metadata of a commit of `low`. */
  note(): string {
    const low = this.#low;
    let text = FORM;
    const add = (part: string): boolean => {
      if (text.length + part.length > LONGEST) return false;
      text += part;
      return true;
    };
    for (const [first, last] of ranges(this.#settled)) {
      if (!add(` ${first - low}${last > first ? `-${last - low}` : ''}`)) break;
    }
    for (const [offset, attempts] of this.#open) {
      if (attempts > 0 && !add(` ${offset - low}x${attempts}`)) break;
    }
    return text === FORM ? '' : text;
  }

  #advance(): void {
    const [first] = this.#open.keys();
    const low = first ?? this.#next;
    if (low <= this.#low) return;
    if (low - this.#low < this.#settled.size) {
      for (let offset = this.#low; offset < low; offset++) this.#settled.delete(offset);
    } else {
      for (const offset of this.#settled) if (offset < low) this.#settled.delete(offset);
    }
    this.#low = low;
  }
}

/** Settled messages that a commit's metadata tell of: they do not wait any more although they are after its offset. */
export function settledAfter(left: { offset: number; metadata: string }): number {
  return parse(left).settled.length;
}

function parse({ offset: low, metadata }: { offset: number; metadata: string }) {
  const settled: number[] = [];
  const attempts = new Map<number, number>();
  const [form, ...parts] = metadata.slice(0, 2 * LONGEST).split(' ');
  if (form !== FORM) return { settled, attempts };
  for (const part of parts) {
    const [, first, sign, second] = /^(\d{1,6})(?:([-x])(\d{1,6}))?$/.exec(part) ?? [];
    if (first === undefined) continue;
    const from = low + Number(first);
    if (sign === 'x') attempts.set(from, Number(second));
    // What somebody else may have written there is bounded, too.
    else
      for (let at = from; at <= low + Number(second ?? first) && settled.length < 100_000; at++)
        settled.push(at);
  }
  return { settled, attempts };
}

/** Numbers as ranges, both ends included. */
function ranges(numbers: ReadonlySet<number>): [number, number][] {
  const all: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = all.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else all.push([number, number]);
  }
  return all;
}
