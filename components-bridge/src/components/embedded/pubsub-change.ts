import type { Database } from 'lmdb';

import { BrokerError } from '../../primitives/pubsub/broker.js';
import * as records from './pubsub-records.js';
import type { Kept, Pending, StoredGroup, StoredStore, StoredTopic } from './pubsub-records.js';

/** How many due messages one commit moves or removes. */
const DUE_STEP = 256;

/** How much is kept. */
export interface JournalLimits {
  /** Messages of one topic. */
  readonly length: number;
  /** Bytes of all topics. */
  readonly bytes: number;
}

/** What one commit changes. */
export class Change {
  readonly #store: StoredStore;
  readonly #topics = new Map<number, StoredTopic>();
  readonly #groups = new Map<number, StoredGroup[]>();

  constructor(
    private readonly table: Database<Buffer, Buffer>,
    private readonly limits: JournalLimits,
  ) {
    this.#store = records.decodeStore(table.getBinary(records.STORE));
  }

  /** A topic by its name, made if it is not there. */
  topic(name: string): StoredTopic {
    const key = records.topicName(name);
    const found = this.table.getBinary(key);
    if (found !== undefined) return this.#topic(found.readUInt32BE(0));
    const number = ++this.#store.numbers;
    const topic = { number, name, since: Date.now(), last: 0, lastDelayed: 0, count: 0 };
    this.#topics.set(number, topic);
    const value = Buffer.alloc(4);
    value.writeUInt32BE(number);
    void this.table.put(key, value);
    return topic;
  }

  /** A group by its name, made if it is not there: then everything that is kept is for it. */
  group(topic: StoredTopic, name: string): StoredGroup {
    const groups = this.#groupsOf(topic.number);
    const found = groups.find((group) => group.name === name);
    if (found !== undefined) return found;
    const group = { number: ++this.#store.numbers, name, cursor: 1 };
    groups.push(group);
    this.#putGroup(topic.number, group);
    return group;
  }

  /**
   * Takes a message.
   *
   * @param notBefore when it is to be delivered, if not now
   * @returns its id, or why it is not taken
   */
  publish(topic: StoredTopic, record: Buffer, notBefore: number | undefined): string | BrokerError {
    const size = records.sizeOf(record);
    const { length, bytes } = this.limits;
    if (topic.count >= length)
      return this.#full(topic, `it keeps ${length} messages, as many as maxLength says`);
    if (this.#store.bytes + size > bytes)
      return this.#full(topic, `the component keeps ${bytes} bytes at most, as maxBytes says`);
    topic.count++;
    this.#store.bytes += size;
    if (notBefore === undefined) {
      this.#append(topic, record);
      return records.messageId(topic.since, topic.last);
    }
    const number = ++topic.lastDelayed;
    record.writeUIntBE(number, 7, 6);
    void this.table.put(records.delayedKey(notBefore, topic.number, number), record);
    return records.delayedId(topic.since, number);
  }

  /**
   * Moves what is to be delivered from now on into its topics, and removes what has expired; some of it.
   *
   * @returns the numbers of the topics that may have got something
   */
  due(now: number): Set<number> {
    const topics = new Set<number>();
    // Copied out of the cursor first: removing moves what it points at.
    for (const { key, value } of [
      ...this.table.getRange({ ...records.dueUntil('D', now), limit: DUE_STEP }),
    ]) {
      const topic = this.#topic(records.splitDueKey(key).topic);
      topics.add(topic.number);
      void this.table.remove(key);
      const expiresAt = records.expiryOf(value);
      if (expiresAt > 0 && expiresAt <= now) this.#discount(topic, records.sizeOf(value));
      else this.#append(topic, value);
    }
    for (const { key, value } of [
      ...this.table.getRange({ ...records.dueUntil('X', now), limit: DUE_STEP }),
    ]) {
      const { topic, number: position } = records.splitDueKey(key);
      void this.table.remove(key);
      this.#remove(topic, position, value.readUIntBE(0, 6), 0);
    }
    return topics;
  }

  /**
   * Notes which messages there are by now.
   *
   * @param known last positions that have been noted, by topic; those that are noted now are entered
   */
  mark(now: number, known: Map<number, number>): void {
    for (const { key, value } of [...this.table.getRange(records.TOPICS)]) {
      const number = records.topicOf(key);
      const { last } = records.decodeTopic(number, value);
      if (known.get(number) === last) continue;
      known.set(number, last);
      const position = Buffer.alloc(6);
      position.writeUIntBE(last, 0, 6);
      void this.table.put(records.markKey(now, number), position);
    }
  }

  /**
   * Removes messages that were there at marks until then; some of them, each time it is called.
   *
   * @returns how many of which topic; undefined: there are none left
   */
  removeOld(until: number): { topic: string; count: number } | undefined {
    for (const { key: mark, value } of [...this.table.getRange(records.marksUntil(until))]) {
      const number = records.topicOfMark(mark);
      const last = value.readUIntBE(0, 6);
      const { start } = records.messagesFrom(number, 0);
      const range = { start, end: records.messageKey(number, last + 1), limit: DUE_STEP };
      const old = [...this.table.getRange(range)].map(({ key, value: record }) => ({
        position: records.positionOf(key),
        size: records.sizeOf(record),
        expiresAt: records.expiryOf(record),
      }));
      for (const { position, size, expiresAt } of old) this.#remove(number, position, size, expiresAt);
      if (old.length < DUE_STEP) void this.table.remove(mark);
      if (old.length > 0) return { topic: this.#topic(number).name, count: old.length };
    }
    return undefined;
  }

  /** A group is done with a message, which goes if all are. */
  done(topic: number, group: number, { position, record }: Kept): void {
    const key = records.messageKey(topic, position);
    if (!this.table.doesExist(key)) return;
    const groups = this.#groupsOf(topic);
    if (groups.length > 1) {
      const ackKey = records.ackKey(topic, position);
      const done = this.table.getBinary(ackKey);
      const all = new Set(done && records.listOf(done)).add(group);
      if (groups.some(({ number }) => !all.has(number))) {
        void this.table.put(ackKey, records.bytesOf(all));
        return;
      }
    }
    this.#remove(topic, position, records.sizeOf(record), records.expiryOf(record));
  }

  /** A message is to be delivered to a group again, or is in hand (`due` 0). */
  keep(group: number, { position, due, attempts }: Pending): void {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(attempts);
    void this.table.put(records.pendingKey(group, due, position), value);
  }

  forget(group: number, { position, due }: Pick<Pending, 'position' | 'due'>): void {
    void this.table.remove(records.pendingKey(group, due, position));
  }

  /** Everything before that was delivered to a group at least once. */
  moveCursor(topic: number, name: string, cursor: number): void {
    const group = this.#groupsOf(topic).find((one) => one.name === name);
    if (group === undefined || group.cursor === cursor) return;
    group.cursor = cursor;
    this.#putGroup(topic, group);
  }

  owner(group: number): string | undefined {
    return this.table.getBinary(records.ownerKey(group))?.toString();
  }

  setOwner(group: number, owner: string | undefined): void {
    const key = records.ownerKey(group);
    if (owner === undefined) void this.table.remove(key);
    else void this.table.put(key, Buffer.from(owner));
  }

  /** Writes what was counted. Once, at the end. */
  finish(): void {
    for (const topic of this.#topics.values()) {
      const groups = topic.count === 0 ? this.#groupsOf(topic.number) : [];
      if (topic.count > 0 || groups.length > 0)
        void this.table.put(records.topicKey(topic.number), records.encodeTopic(topic));
      else {
        void this.table.remove(records.topicKey(topic.number));
        void this.table.remove(records.topicName(topic.name));
      }
    }
    void this.table.put(records.STORE, records.encodeStore(this.#store));
  }

  #topic(number: number): StoredTopic {
    let topic = this.#topics.get(number);
    if (topic === undefined) {
      const record = this.table.getBinary(records.topicKey(number));
      if (record === undefined) throw new Error(`topic number ${number} is not there`);
      topic = records.decodeTopic(number, record);
      this.#topics.set(number, topic);
    }
    return topic;
  }

  #groupsOf(topic: number): StoredGroup[] {
    let groups = this.#groups.get(topic);
    if (groups === undefined) {
      groups = [...this.table.getRange(records.groupsOf(topic))].map(({ value }) =>
        records.decodeGroup(value),
      );
      this.#groups.set(topic, groups);
    }
    return groups;
  }

  #putGroup(topic: number, group: StoredGroup): void {
    void this.table.put(records.groupKey(topic, group.name), records.encodeGroup(group));
  }

  #append(topic: StoredTopic, record: Buffer): void {
    const position = ++topic.last;
    void this.table.put(records.messageKey(topic.number, position), record);
    const expiresAt = records.expiryOf(record);
    if (expiresAt === 0) return;
    const size = Buffer.alloc(6);
    size.writeUIntBE(records.sizeOf(record), 0, 6);
    void this.table.put(records.expiryKey(expiresAt, topic.number, position), size);
  }

  #remove(topic: number, position: number, size: number, expiresAt: number): void {
    const key = records.messageKey(topic, position);
    if (!this.table.doesExist(key)) return;
    void this.table.remove(key);
    if (this.#groupsOf(topic).length > 1) void this.table.remove(records.ackKey(topic, position));
    if (expiresAt > 0) void this.table.remove(records.expiryKey(expiresAt, topic, position));
    this.#discount(this.#topic(topic), size);
  }

  #discount(topic: StoredTopic, size: number): void {
    topic.count--;
    this.#store.bytes -= size;
  }

  #full(topic: StoredTopic, why: string): BrokerError {
    const groups = [...this.#groupsOf(topic.number)].sort((a, b) => a.cursor - b.cursor);
    const [slowest] = groups;
    const who =
      slowest === undefined
        ? 'nobody has subscribed to it'
        : `the subscribers "${slowest.name}" have yet to acknowledge the oldest`;
    return new BrokerError('full', `topic ${topic.name} is full: ${why}; ${who}`);
  }
}
