import type { Database } from 'lmdb';

import type { EmbeddedDatabase } from './database.js';
import { Change } from './pubsub-change.js';
import type { JournalLimits } from './pubsub-change.js';
import * as records from './pubsub-records.js';
import type { Kept, Pending, StoredGroup } from './pubsub-records.js';

/** Later than any time that is kept. */
const LAST = 2 ** 48 - 2;

/** The messages of all topics, and how far each group of subscribers is; see pubsub-records.ts. */
export class Journal {
  readonly #table: Database<Buffer, Buffer>;

  constructor(
    private readonly database: EmbeddedDatabase,
    private readonly limits: JournalLimits,
  ) {
    this.#table = database.table('pubsub');
  }

  /** In a write: what is to be changed, all of which stands once `finish` was called. */
  change(): Change {
    return new Change(this.#table, this.limits);
  }

  /** The next messages of a topic, as they stand: at least one if there is one, and then as long as bytes are left. */
  messages(topic: number, from: number, limit: number, bytes: number): Kept[] {
    this.database.lookAnew();
    const found: Kept[] = [];
    let left = bytes;
    for (const { key, value } of this.#table.getRange({ ...records.messagesFrom(topic, from), limit })) {
      if (found.length > 0 && value.length > left) break;
      found.push({ position: records.positionOf(key), record: value });
      left -= value.length;
    }
    return found;
  }

  message(topic: number, position: number): Buffer | undefined {
    this.database.lookAnew();
    return this.#table.getBinary(records.messageKey(topic, position));
  }

  /** Whether a group is done with a message that others are not done with. */
  isAcknowledged(topic: number, position: number, group: number): boolean {
    const done = this.#table.getBinary(records.ackKey(topic, position));
    return done !== undefined && records.listOf(done).includes(group);
  }

  /** Those in hand of whoever delivered before. */
  leftover(group: number): Pending[] {
    this.database.lookAnew();
    const { start } = records.pendingOf(group);
    return this.#pending({ start, end: records.pendingKey(group, 1, 0) });
  }

  /** Those that are to be delivered again, the first due first. */
  pending(group: number, limit: number): Pending[] {
    this.database.lookAnew();
    const { end } = records.pendingOf(group);
    return this.#pending({ start: records.pendingKey(group, 1, 0), end, limit });
  }

  #pending(range: { start: Buffer; end: Buffer; limit?: number }): Pending[] {
    return [...this.#table.getRange(range)].map(({ key, value }) => {
      return { ...records.splitPendingKey(key), attempts: value.readUInt32BE(0) };
    });
  }

  /** A group as it stands. */
  group(topic: number, name: string): StoredGroup | undefined {
    this.database.lookAnew();
    const record = this.#table.getBinary(records.groupKey(topic, name));
    return record && records.decodeGroup(record);
  }

  /** Messages that a group is not done with. */
  lag(topic: number, name: string): number {
    const group = this.group(topic, name);
    if (group === undefined) return 0;
    const undelivered = this.#table.getKeysCount(records.messagesFrom(topic, group.cursor));
    return undelivered + this.#table.getKeysCount(records.pendingOf(group.number));
  }

  /** When the next message is to be delivered that waits, and when the next expires; Infinity: never. */
  nextDue(): { delayed: number; expired: number } {
    this.database.lookAnew();
    return { delayed: this.#firstDue('D'), expired: this.#firstDue('X') };
  }

  /** Whether a topic has had a message since its last position was noted. */
  hasUnmarked(known: ReadonlyMap<number, number>): boolean {
    this.database.lookAnew();
    for (const { key, value } of this.#table.getRange(records.TOPICS)) {
      const number = records.topicOf(key);
      const { last } = records.decodeTopic(number, value);
      if (last > 0 && known.get(number) !== last) return true;
    }
    return false;
  }

  /** Whether there is a mark from until then. */
  hasMark(until: number): boolean {
    this.database.lookAnew();
    return [...this.#table.getKeys({ ...records.marksUntil(until), limit: 1 })].length > 0;
  }

  #firstDue(letter: 'D' | 'X'): number {
    const [first] = this.#table.getKeys({ ...records.dueUntil(letter, LAST), limit: 1 });
    return first === undefined ? Infinity : records.splitDueKey(first).due;
  }
}
