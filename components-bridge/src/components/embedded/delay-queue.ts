import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type { Broker, OutgoingMessage } from '../../primitives/pubsub/broker.js';
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { recordKey } from './record.js';
import type { RecordKey } from './record.js';

/** What may wait at a time. */
export interface DelayLimits {
  messages: number;
  bytes: number;
}

const LIMITS: DelayLimits = { messages: 100_000, bytes: 256 * 1024 * 1024 };

/** How much is published at a time. */
const BATCH_MESSAGES = 100;
const BATCH_BYTES = 8 * 1024 * 1024;

/** For so long another process leaves alone what one has taken to publish; then that one is thought dead. */
const LEASE_MS = 10_000;

/** Another process may have put something there, or have died over it; so it is looked at least so often. */
const LOOK_EVERY_MS = 1_000;

/** Pause after the broker did not take what was due: doubled each time. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** Digits of a time in a key: enough until the year 33658. */
const TIME_DIGITS = 15;
const DUE = 'd';
const COUNT_KEY = recordKey('count');
const HEAD = 4;

/** What is kept of a message beside its bytes. */
interface Head {
  id: string;
  topic: string;
  notBefore: number;
  contentType: string;
  metadata: Record<string, string>;
  expiresAt?: number;
  /** Until when whoever has taken it is left alone with it. */
  leasedUntil?: number;
}

interface Waiting {
  head: Head;
  data: Buffer;
}

/**
 * Messages that are not due yet, on disk. Each is published when it is time, and removed once the broker has taken it:
 * whoever crashes in between, it is published at least once. While one bridge takes over from another both may have the
 * queue open; a message is then taken by one of them.
 */
export class DelayQueue {
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires. */
  #at = Infinity;
  #working: Promise<void> | undefined;
  #pause = 0;
  #closed = false;

  private constructor(
    private readonly database: EmbeddedDatabase,
    private readonly publish: Broker['publish'],
    private readonly log: Logger,
    private readonly limits: DelayLimits,
  ) {
    this.#arm(Date.now());
  }

  /** @param folder of all such queues in the data folder @throws Error if it cannot be opened */
  static async open(
    context: Pick<ComponentContext, 'name' | 'dataDir' | 'log'>,
    folder: string,
    publish: Broker['publish'],
    limits: DelayLimits = LIMITS,
  ): Promise<DelayQueue> {
    const database = await EmbeddedDatabase.open(context, folder, undefined);
    return new DelayQueue(database, publish, context.log, limits);
  }

  /** @returns the message's id, once it is on disk @throws BrokerError */
  async add(topic: string, message: OutgoingMessage): Promise<string> {
    const { notBefore = Date.now(), contentType, metadata, expiresAt } = message;
    const id = randomUUID();
    const head: Head = { id, topic, notBefore, contentType, metadata };
    if (expiresAt !== undefined) head.expiresAt = expiresAt;
    const record = encode({ head, data: Buffer.from(message.data) });
    try {
      await this.database.write(() => {
        this.#count(1, record.length);
        this.database.put(keyOf(head), undefined, { version: 1, expiresAt: 0, data: record });
      }, record.length);
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      const kind = error instanceof EmbeddedError ? error.kind : 'failed';
      throw new BrokerError(kind, `the delay queue: ${reasonOf(error)}`, { cause: error });
    }
    this.#arm(notBefore);
    return id;
  }

  /** Messages that wait. */
  get size(): number {
    return this.#counted().messages;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.database.close();
  }

  /** Looks again at a time, unless it does before. */
  #arm(at: number): void {
    if (this.#closed || at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    const wait = Math.min(Math.max(0, at - Date.now()), LOOK_EVERY_MS);
    this.#timer = setTimeout(() => this.#look(), wait);
    this.#timer.unref();
  }

  #look(): void {
    this.#at = Infinity;
    this.#working ??= this.#work().then((next) => {
      this.#working = undefined;
      this.#arm(next);
    });
  }

  /** Publishes what is due. @returns when to look again */
  async #work(): Promise<number> {
    try {
      while (!this.#closed) {
        const taken = await this.#take();
        if (taken.length === 0) break;
        if (!(await this.#publishAll(taken))) {
          this.#pause = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.#pause * 2));
          return Date.now() + this.#pause;
        }
      }
      this.#pause = 0;
      return this.#nextDue();
    } catch (error) {
      this.log.error({ reason: reasonOf(error) }, 'the delay queue does not work');
      return Date.now() + LONGEST_PAUSE_MS;
    }
  }

  /** When something is due, or what another process has taken is free again; at most until the next look. */
  #nextDue(): number {
    let next = Date.now() + LOOK_EVERY_MS;
    for (const { notBefore, leasedUntil = 0 } of this.#heads()) {
      next = Math.min(next, Math.max(notBefore, leasedUntil));
      if (notBefore >= next) break;
    }
    return next;
  }

  /** Takes what is due, so that no other process does. */
  async #take(): Promise<Waiting[]> {
    if (!this.#anyDue(Date.now())) return [];
    return this.database.write(() => {
      const now = Date.now();
      const taken: Waiting[] = [];
      let bytes = 0;
      for (const { data: record } of this.database.scan(DUE)) {
        const { notBefore, leasedUntil = 0 } = headOf(record);
        if (notBefore > now || taken.length === BATCH_MESSAGES || bytes > BATCH_BYTES) break;
        if (leasedUntil > now) continue;
        taken.push(decode(record));
        bytes += record.length;
      }
      for (const one of taken) this.#lease(one, now + LEASE_MS);
      return taken;
    });
  }

  #anyDue(now: number): boolean {
    for (const { notBefore, leasedUntil = 0 } of this.#heads()) {
      if (notBefore > now) return false;
      if (leasedUntil <= now) return true;
    }
    return false;
  }

  /** In a write. */
  #lease({ head, data }: Waiting, until: number): void {
    const leased = encode({ head: { ...head, leasedUntil: until }, data });
    const key = keyOf(head);
    const before = this.database.read(key);
    if (before === undefined) return;
    this.#count(0, leased.length - before.data.length);
    this.database.put(key, before, { version: 1, expiresAt: 0, data: leased });
  }

  /** @returns false if the broker did not take everything: then it is tried again later */
  async #publishAll(taken: readonly Waiting[]): Promise<boolean> {
    const now = Date.now();
    const done: Waiting[] = [];
    const left: Waiting[] = [];
    for (const [topic, waiting] of byTopic(taken)) {
      const fresh = waiting.filter(({ head: { expiresAt = Infinity } }) => expiresAt > now);
      done.push(...waiting.filter((one) => !fresh.includes(one)));
      const outcomes = fresh.length === 0 ? [] : await this.#tryPublish(topic, fresh);
      for (const [index, one] of fresh.entries()) {
        const outcome = outcomes[index];
        if (outcome instanceof BrokerError && outcome.kind === 'invalid') {
          const { id, topic } = one.head;
          this.log.error(
            { id, topic, reason: outcome.message },
            'a delayed message is dropped: the broker refuses it',
          );
          done.push(one);
        } else (outcome instanceof BrokerError || outcome === undefined ? left : done).push(one);
      }
    }
    await this.database.write(() => {
      for (const { head } of done) {
        const before = this.database.read(keyOf(head));
        if (before === undefined) continue;
        this.#count(-1, -before.data.length);
        this.database.remove(keyOf(head));
      }
      for (const one of left) this.#lease(one, 0);
    });
    return left.length === 0;
  }

  async #tryPublish(
    topic: string,
    waiting: readonly Waiting[],
  ): Promise<Awaited<ReturnType<Broker['publish']>>> {
    const messages = waiting.map(({ head: { contentType, metadata, expiresAt }, data }) => {
      return { data, contentType, metadata, ...(expiresAt === undefined ? {} : { expiresAt }) };
    });
    try {
      return await this.publish(topic, messages);
    } catch (error) {
      this.log.warn(
        { topic, reason: reasonOf(error) },
        'delayed messages are due, and the broker did not take them',
      );
      return [];
    }
  }

  /** In a write: notes that there are more messages, or fewer. @throws BrokerError if there were too many */
  #count(messages: number, bytes: number): void {
    const before = this.database.read(COUNT_KEY);
    const counted = countIn(before?.data);
    const next = { messages: counted.messages + messages, bytes: counted.bytes + bytes };
    if (messages > 0 && (next.messages > this.limits.messages || next.bytes > this.limits.bytes)) {
      const { messages: most, bytes: room } = this.limits;
      const full = `the delay queue is full: at most ${most} messages and ${room} bytes may wait, and ${counted.messages} messages of ${counted.bytes} bytes do`;
      throw new BrokerError('full', full);
    }
    const data = Buffer.from(JSON.stringify(next));
    this.database.put(COUNT_KEY, before, { version: 1, expiresAt: 0, data });
  }

  #counted(): DelayLimits {
    return countIn(this.database.get(COUNT_KEY)?.data);
  }

  /** What waits, in the order in which it is due. */
  *#heads(): Iterable<Head> {
    for (const { data } of this.database.scan(DUE)) yield headOf(data);
  }
}

function keyOf({ notBefore, id }: Head): RecordKey {
  return recordKey(`${DUE}${String(notBefore).padStart(TIME_DIGITS, '0')}-${id}`);
}

function countIn(data: Buffer | undefined): DelayLimits {
  return data === undefined ? { messages: 0, bytes: 0 } : (JSON.parse(data.toString()) as DelayLimits);
}

function encode({ head, data }: Waiting): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.allocUnsafe(HEAD);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, data]);
}

function headOf(bytes: Buffer): Head {
  return JSON.parse(bytes.toString('utf8', HEAD, HEAD + bytes.readUInt32LE())) as Head;
}

function decode(bytes: Buffer): Waiting {
  const data = Buffer.from(bytes.subarray(HEAD + bytes.readUInt32LE()));
  return { head: headOf(bytes), data };
}

function byTopic(taken: readonly Waiting[]): Map<string, Waiting[]> {
  const topics = new Map<string, Waiting[]>();
  for (const one of taken) topics.set(one.head.topic, [...(topics.get(one.head.topic) ?? []), one]);
  return topics;
}
