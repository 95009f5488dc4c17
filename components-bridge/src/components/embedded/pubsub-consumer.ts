import type { Outcome, SubscribeOptions } from '../../primitives/pubsub/broker.js';
import type { Change } from './pubsub-change.js';
import type { Journal } from './pubsub-journal.js';
import { Owner } from './pubsub-owner.js';
import { decodeMessage, expiryOf } from './pubsub-records.js';
import type { Kept, Pending, StoredGroup, StoredTopic } from './pubsub-records.js';

/** A delivery that takes longer is put on record, so that it counts if the bridge ends before it does. */
const GRACE_MS = 10;
/** Messages that are read at a time, and their bytes. */
const READ_AHEAD = 32;
const READ_AHEAD_BYTES = 1024 * 1024;
/** Nothing more is delivered while so many deliveries are over that the disk does not know of. */
const MOST_UNWRITTEN = 4096;
/** The longest pause before a message is delivered again, unless the first pause is longer. */
const LONGEST_PAUSE_MS = 60_000;

/** What of its broker it needs. */
export interface ConsumerSurroundings {
  readonly journal: Journal;
  /** Milliseconds before a message is delivered for the second time. */
  readonly pauseMs: number;
  /** Has `write` called in the next commit. @returns when it is on disk */
  commit(): Promise<void>;
}

/** One of those who share the messages. */
interface Subscriber {
  readonly options: SubscribeOptions;
  inHand: number;
  closing: boolean;
  idle: () => void;
}

/** A message that is in the hand of a subscriber. */
interface Delivery extends Kept {
  readonly attempt: number;
  readonly since: number;
  /** Under which time it is on record; undefined: it is not. */
  due: number | undefined;
}

interface Settled {
  readonly delivery: Delivery;
  readonly outcome: Outcome;
}

/** Delivers the messages of a topic to the subscribers of one group in this process. */
export class Consumer {
  readonly owner = new Owner();
  readonly #subscribers: Subscriber[] = [];
  #turn = 0;
  #owns = false;
  #ended = false;
  /** The next position to read. */
  #next = 0;
  /** Up to this position others may have done something before. */
  #known = 0;
  /** Whether there may be messages from `#next` on. */
  #more = false;
  readonly #read: Kept[] = [];
  readonly #leftover: Pending[] = [];
  /** By position, in the order in which they were given out. */
  readonly #inHand = new Map<number, Delivery>();
  /** Deliveries that are over, of which the next commit is told. */
  #settled: Settled[] = [];
  /** Those of which the present commit is told. */
  #writing: Settled[] = [];
  /** Those in hand that the present commit puts on record, and under which time they were before. */
  #claimed: { delivery: Delivery; due: number | undefined }[] = [];
  #unwritten = 0;
  /** When the first message is to be delivered again. */
  #againAt = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(
    private readonly topic: StoredTopic,
    private readonly group: Pick<StoredGroup, 'number' | 'name'>,
    private readonly surroundings: ConsumerSurroundings,
  ) {}

  get topicNumber(): number {
    return this.topic.number;
  }

  get owns(): boolean {
    return this.#owns;
  }

  get isEmpty(): boolean {
    return this.#subscribers.length === 0;
  }

  /** @returns ends it: takes nothing more, and resolves when what it has in hand is settled and on disk */
  add(options: SubscribeOptions): () => Promise<void> {
    const subscriber: Subscriber = { options, inHand: 0, closing: false, idle: () => undefined };
    this.#subscribers.push(subscriber);
    this.pump();
    return async () => {
      if (!subscriber.closing) {
        subscriber.closing = true;
        this.#subscribers.splice(this.#subscribers.indexOf(subscriber), 1);
      }
      if (subscriber.inHand > 0) await new Promise<void>((resolve) => (subscriber.idle = resolve));
      if (!this.#ended) await this.surroundings.commit();
    };
  }

  /** In a write: begins to deliver, unless another does. */
  acquire(change: Change): boolean {
    const owner = change.owner(this.group.number);
    if (owner !== undefined && owner !== this.owner.name && Owner.isThere(owner)) return false;
    change.setOwner(this.group.number, this.owner.name);
    return true;
  }

  /** `acquire` is on disk. */
  begin(): void {
    const { journal } = this.surroundings;
    this.#owns = true;
    this.#next = journal.group(this.topic.number, this.group.name)?.cursor ?? 1;
    this.#known = Infinity;
    this.#more = true;
    this.#read.length = 0;
    this.#leftover.splice(0, Infinity, ...journal.leftover(this.group.number));
    this.#againAt = 0;
    this.pump();
  }

  /** Whether it is worth a try to become the one who delivers. */
  mayAcquire(): boolean {
    return !this.#owns && !this.#ended;
  }

  /** There may be messages that were not there before. */
  wake(): void {
    this.#more = true;
    this.pump();
  }

  /** In a write: puts on record what happened since the last one. */
  write(change: Change): void {
    if (!this.#owns) return;
    const now = Date.now();
    const { number } = this.group;
    let again = 0;
    this.#writing = this.#settled;
    this.#settled = [];
    for (const { delivery, outcome } of this.#writing) {
      const { position, due, attempt } = delivery;
      if (due !== undefined) change.forget(number, { position, due });
      if (outcome === 'ack') change.done(this.topic.number, number, delivery);
      else {
        const next = now + this.#pause(attempt);
        change.keep(number, { position, due: next, attempts: attempt });
        this.#againAt = Math.min(this.#againAt, next);
        again = Math.max(again, position);
      }
    }
    let cursor = this.#read[0]?.position ?? this.#next;
    for (const delivery of this.#inHand.values()) {
      const { position, due, attempt, since } = delivery;
      if (due === 0) continue;
      // What stands behind the cursor must be on record, and nothing that is on record may stand before it.
      if (now - since >= GRACE_MS || (due === undefined && position < again)) {
        if (due !== undefined) change.forget(number, { position, due });
        change.keep(number, { position, due: 0, attempts: attempt });
        this.#claimed.push({ delivery, due });
        delivery.due = 0;
        if (due === undefined) again = Math.max(again, position);
      } else if (due === undefined) cursor = Math.min(cursor, position);
    }
    change.moveCursor(this.topic.number, this.group.name, cursor);
  }

  /** In a write: lets another deliver. What is in hand is delivered again. */
  release(change: Change): void {
    this.write(change);
    this.#owns = false;
    if (change.owner(this.group.number) === this.owner.name) change.setOwner(this.group.number, undefined);
  }

  /** What `write` did is on disk. */
  written(): void {
    this.#writing = [];
    this.#claimed = [];
    this.#unwritten = this.#settled.length;
    this.pump();
  }

  /** What `write` did is not on disk: the next one does it again. */
  notWritten(): void {
    this.#settled.unshift(...this.#writing);
    this.#writing = [];
    for (const { delivery, due } of this.#claimed) delivery.due = due;
    this.#claimed = [];
  }

  /** Delivers nothing more, and heeds no outcome. */
  end(): void {
    this.#ended = true;
    this.#owns = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
    this.owner.end();
  }

  /** Gives out messages while there are any, and hands for them. */
  pump(): void {
    if (!this.#owns) return;
    while (this.#unwritten < MOST_UNWRITTEN) {
      const subscriber = this.#free();
      const delivery = subscriber && this.#take();
      if (subscriber === undefined || delivery === undefined) break;
      this.#inHand.set(delivery.position, delivery);
      void this.#deliver(subscriber, delivery);
    }
    this.#arm();
  }

  #free(): Subscriber | undefined {
    const count = this.#subscribers.length;
    for (let offset = 0; offset < count; offset++) {
      const at = (this.#turn + offset) % count;
      const subscriber = this.#subscribers[at];
      if (subscriber === undefined || subscriber.inHand >= subscriber.options.concurrency) continue;
      this.#turn = at + 1;
      return subscriber;
    }
    return undefined;
  }

  #take(): Delivery | undefined {
    if (this.#leftover.length === 0) this.#readAgain();
    return this.#takeLeftover() ?? this.#takeFresh();
  }

  #takeLeftover(): Delivery | undefined {
    for (let pending = this.#leftover.shift(); pending !== undefined; pending = this.#leftover.shift()) {
      const delivery = this.#again(pending);
      if (delivery !== undefined) return delivery;
    }
    return undefined;
  }

  /** Reads which messages are due to be delivered again. */
  #readAgain(): void {
    const now = Date.now();
    if (this.#againAt > now) return;
    const { journal } = this.surroundings;
    const busy = new Set(this.#inHand.keys());
    for (const { delivery } of [...this.#writing, ...this.#settled]) busy.add(delivery.position);
    const limit = busy.size + READ_AHEAD;
    const pending = journal.pending(this.group.number, limit);
    for (const one of pending) {
      if (one.due > now) {
        this.#againAt = one.due;
        return;
      }
      if (!busy.has(one.position)) this.#leftover.push(one);
    }
    if (pending.length < limit) this.#againAt = Infinity;
  }

  /** A message that was delivered before, unless it is gone or in hand. */
  #again({ position, due, attempts }: Pending): Delivery | undefined {
    if (this.#inHand.has(position)) return undefined;
    const record = this.surroundings.journal.message(this.topic.number, position);
    const delivery = {
      position,
      record: record ?? NOTHING,
      attempt: attempts + 1,
      since: Date.now(),
      due,
    };
    if (record !== undefined && !hasExpired(record)) return delivery;
    this.#settle(delivery, 'ack');
    return undefined;
  }

  #takeFresh(): Delivery | undefined {
    const { journal } = this.surroundings;
    const { number } = this.topic;
    for (;;) {
      const kept = this.#read.shift() ?? this.#readOn();
      if (kept === undefined) return undefined;
      const { position, record } = kept;
      if (this.#inHand.has(position)) continue;
      if (position <= this.#known && journal.isAcknowledged(number, position, this.group.number)) continue;
      const delivery = { position, record, attempt: 1, since: Date.now(), due: undefined };
      if (!hasExpired(record)) return delivery;
      this.#settle(delivery, 'ack');
    }
  }

  #readOn(): Kept | undefined {
    if (!this.#more) return undefined;
    const { journal } = this.surroundings;
    this.#read.push(...journal.messages(this.topic.number, this.#next, READ_AHEAD, READ_AHEAD_BYTES));
    const last = this.#read.at(-1);
    if (last !== undefined) this.#next = last.position + 1;
    else {
      this.#more = false;
      // What comes from here on, nobody else has had.
      if (this.#known === Infinity) this.#known = this.#next - 1;
    }
    return this.#read.shift();
  }

  async #deliver(subscriber: Subscriber, delivery: Delivery): Promise<void> {
    subscriber.inHand++;
    let outcome: Outcome;
    try {
      const { position, record, attempt } = delivery;
      outcome = await subscriber.options.receive(decodeMessage(this.topic, position, record, attempt));
    } catch {
      outcome = 'retry';
    }
    subscriber.inHand--;
    if (this.#ended) {
      subscriber.idle();
      return;
    }
    this.#inHand.delete(delivery.position);
    this.#settle(delivery, outcome);
    if (subscriber.closing && subscriber.inHand === 0) subscriber.idle();
    this.pump();
  }

  #settle(delivery: Delivery, outcome: Outcome): void {
    this.#settled.push({ delivery, outcome });
    this.#unwritten++;
    void this.surroundings.commit();
  }

  /** Looks again when a message is due, or a delivery takes long. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#againAt < Infinity && this.#free() !== undefined) {
      const wait = Math.min(Math.max(this.#againAt - Date.now(), 1), LONGEST_PAUSE_MS);
      this.#timer = setTimeout(() => this.pump(), wait).unref();
    }
    if (this.#grace !== undefined || this.#inHand.size === 0) return;
    this.#grace = setTimeout(() => {
      this.#grace = undefined;
      for (const { due } of this.#inHand.values()) {
        if (due === 0) continue;
        void this.surroundings.commit();
        return;
      }
    }, GRACE_MS).unref();
  }

  #pause(attempt: number): number {
    const { pauseMs } = this.surroundings;
    return Math.min(pauseMs * 2 ** Math.min(attempt - 1, 30), Math.max(pauseMs, LONGEST_PAUSE_MS));
  }
}

function hasExpired(record: Buffer): boolean {
  const expiresAt = expiryOf(record);
  return expiresAt > 0 && expiresAt <= Date.now();
}

/** Stands for a message that is gone. */
const NOTHING = Buffer.alloc(21);
