import type { IncomingMessage, OutgoingMessage } from '../../primitives/pubsub/broker.js';
import { recordKey } from './record.js';

/**
 * How the embedded broker keeps what it has, in a table of its own. Keys begin with a letter; numbers in them are
 * big-endian, so that they sort:
 *
 *     S                            what the whole store knows
 *     N topic (as record.ts)       number (4) of the topic
 *     T topic                      the topic
 *     G topic, group               a group of subscribers
 *     O group                      who delivers to the group now
 *     M topic, position            a message
 *     A topic, position            numbers (4 each) of the groups that are done with it, while others are not
 *     P group, due, position       attempts (4) so far of a message that is to be delivered again, or is in hand
 *     D due, topic, number         a message that is not to be delivered yet
 *     X due, topic, position       a message that expires
 *     R time, topic                position (6) of the last message that the topic had by then
 *
 * Topics and groups stand there by their numbers (4 bytes). Times are milliseconds since 1970 and positions count from
 * 1 in each topic, both in 6 bytes.
 */
export const STORE = Buffer.from('S');

export const topicName = (topic: string): Buffer => Buffer.concat([Buffer.from('N'), recordKey(topic).bytes]);
export const topicKey = (topic: number): Buffer => key('T', [topic, 4]);
export const groupKey = (topic: number, group: string): Buffer =>
  Buffer.concat([key('G', [topic, 4]), recordKey(group).bytes]);
export const ownerKey = (group: number): Buffer => key('O', [group, 4]);
export const messageKey = (topic: number, position: number): Buffer => key('M', [topic, 4], [position, 6]);
export const ackKey = (topic: number, position: number): Buffer => key('A', [topic, 4], [position, 6]);
export const pendingKey = (group: number, due: number, position: number): Buffer =>
  key('P', [group, 4], [due, 6], [position, 6]);
export const delayedKey = (due: number, topic: number, number: number): Buffer =>
  key('D', [due, 6], [topic, 4], [number, 6]);
export const expiryKey = (due: number, topic: number, position: number): Buffer =>
  key('X', [due, 6], [topic, 4], [position, 6]);

export const markKey = (time: number, topic: number): Buffer => key('R', [time, 6], [topic, 4]);

/** Marks of all topics until then. */
export function marksUntil(time: number): { start: Buffer; end: Buffer } {
  return { start: Buffer.from('R'), end: key('R', [time + 1, 6]) };
}

export const topicOfMark = (bytes: Buffer): number => bytes.readUInt32BE(7);

/** All topics. */
export const TOPICS = { start: Buffer.from('T'), end: Buffer.from('U') };

export const topicOf = (topicKey: Buffer): number => topicKey.readUInt32BE(1);

/** All groups of a topic, as a range of keys. */
export function groupsOf(topic: number): { start: Buffer; end: Buffer } {
  return { start: key('G', [topic, 4]), end: key('G', [topic + 1, 4]) };
}

/** All pending messages of a group. */
export function pendingOf(group: number): { start: Buffer; end: Buffer } {
  return { start: key('P', [group, 4]), end: key('P', [group + 1, 4]) };
}

/** The messages of a topic from a position on. */
export function messagesFrom(topic: number, position: number): { start: Buffer; end: Buffer } {
  return { start: messageKey(topic, position), end: key('M', [topic + 1, 4]) };
}

/** What is due until then: of `D` or `X`. */
export function dueUntil(letter: 'D' | 'X', now: number): { start: Buffer; end: Buffer } {
  return { start: Buffer.from(letter), end: key(letter, [now + 1, 6]) };
}

export const positionOf = (messageKey: Buffer): number => messageKey.readUIntBE(5, 6);

export function splitPendingKey(bytes: Buffer): { due: number; position: number } {
  return { due: bytes.readUIntBE(5, 6), position: bytes.readUIntBE(11, 6) };
}

/** Of `D` or `X`; the last is a number or a position. */
export function splitDueKey(bytes: Buffer): { due: number; topic: number; number: number } {
  return { due: bytes.readUIntBE(1, 6), topic: bytes.readUInt32BE(7), number: bytes.readUIntBE(11, 6) };
}

function key(letter: string, ...parts: readonly [number, 4 | 6][]): Buffer {
  let length = 1;
  for (const [, size] of parts) length += size;
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = letter.charCodeAt(0);
  let at = 1;
  for (const [value, size] of parts) at = bytes.writeUIntBE(value, at, size);
  return bytes;
}

/** A message as it is kept. */
export interface Kept {
  readonly position: number;
  readonly record: Buffer;
}

/** A message that is to be delivered again, or was in hand when the bridge ended. */
export interface Pending {
  readonly position: number;
  /** Where it is kept: when it is to be delivered, 0 if it is in hand. */
  readonly due: number;
  /** Deliveries so far. */
  readonly attempts: number;
}

/** What the whole store knows. */
export interface StoredStore {
  /** Numbers of topics and groups that were given. */
  numbers: number;
  /** Bytes of all messages. */
  bytes: number;
}

export function encodeStore({ numbers, bytes }: StoredStore): Buffer {
  const record = Buffer.alloc(13);
  record[0] = FORMAT;
  record.writeUInt32BE(numbers, 1);
  record.writeUIntBE(bytes, 5, 6);
  return record;
}

export function decodeStore(record: Buffer | undefined): StoredStore {
  if (record === undefined) return { numbers: 0, bytes: 0 };
  return { numbers: record.readUInt32BE(1), bytes: record.readUIntBE(5, 6) };
}

/** What is known of a topic. */
export interface StoredTopic {
  readonly number: number;
  readonly name: string;
  /** When it was made: ids of its messages begin with it, so that they stay unique if the folder is lost. */
  readonly since: number;
  /** Position of the last message. */
  last: number;
  /** Number of the last message that was to wait. */
  lastDelayed: number;
  /** Messages that are kept. */
  count: number;
}

export function encodeTopic({ name, since, last, lastDelayed, count }: StoredTopic): Buffer {
  const bytes = Buffer.from(name);
  const record = Buffer.alloc(25 + bytes.length);
  record[0] = FORMAT;
  record.writeUIntBE(since, 1, 6);
  record.writeUIntBE(last, 7, 6);
  record.writeUIntBE(lastDelayed, 13, 6);
  record.writeUIntBE(count, 19, 6);
  bytes.copy(record, 25);
  return record;
}

export function decodeTopic(number: number, record: Buffer): StoredTopic {
  return {
    number,
    since: record.readUIntBE(1, 6),
    last: record.readUIntBE(7, 6),
    lastDelayed: record.readUIntBE(13, 6),
    count: record.readUIntBE(19, 6),
    name: record.toString('utf8', 25),
  };
}

/** What is known of a group of subscribers to a topic. */
export interface StoredGroup {
  readonly number: number;
  readonly name: string;
  /** From here on nothing was delivered, or it was delivered for the first time and is in hand. */
  cursor: number;
}

export function encodeGroup({ number, name, cursor }: StoredGroup): Buffer {
  const bytes = Buffer.from(name);
  const record = Buffer.alloc(11 + bytes.length);
  record[0] = FORMAT;
  record.writeUInt32BE(number, 1);
  record.writeUIntBE(cursor, 5, 6);
  bytes.copy(record, 11);
  return record;
}

export function decodeGroup(record: Buffer): StoredGroup {
  return {
    number: record.readUInt32BE(1),
    cursor: record.readUIntBE(5, 6),
    name: record.toString('utf8', 11),
  };
}

const FORMAT = 1;
/** Format (1), expiry (6), number of a delayed one (6), lengths of content type and metadata (4 each). */
const HEAD = 21;
/** What a message takes beside its bytes, about. */
const OVERHEAD = 64;

/** What a message counts for, in bytes. */
export const sizeOf = (record: Buffer): number => record.length + OVERHEAD;

/** @param delayed number of a message that waited; 0: it did not */
export function encodeMessage(
  { data, contentType, metadata, expiresAt = 0 }: OutgoingMessage,
  delayed: number,
): Buffer {
  const type = Buffer.from(contentType);
  const extra = isEmpty(metadata) ? EMPTY : Buffer.from(JSON.stringify(metadata));
  const record = Buffer.allocUnsafeSlow(HEAD + type.length + extra.length + data.length);
  record[0] = FORMAT;
  record.writeUIntBE(Math.max(0, Math.ceil(expiresAt)), 1, 6);
  record.writeUIntBE(delayed, 7, 6);
  record.writeUInt32BE(type.length, 13);
  record.writeUInt32BE(extra.length, 17);
  record.set(type, HEAD);
  record.set(extra, HEAD + type.length);
  record.set(data, HEAD + type.length + extra.length);
  return record;
}

export const expiryOf = (record: Buffer): number => record.readUIntBE(1, 6);

/** @param position where it stands in its topic */
export function decodeMessage(
  { since }: Pick<StoredTopic, 'since'>,
  position: number,
  record: Buffer,
  attempt: number,
): IncomingMessage {
  const delayed = record.readUIntBE(7, 6);
  const type = HEAD + record.readUInt32BE(13);
  const extra = type + record.readUInt32BE(17);
  return {
    id: delayed > 0 ? delayedId(since, delayed) : messageId(since, position),
    contentType: record.toString('utf8', HEAD, type),
    metadata:
      extra === type ? {} : (JSON.parse(record.toString('utf8', type, extra)) as Record<string, string>),
    data: record.subarray(extra),
    attempt,
  };
}

export const messageId = (since: number, position: number): string => `${since.toString(36)}-${position}`;
export const delayedId = (since: number, number: number): string => `${since.toString(36)}-d${number}`;

function isEmpty(metadata: Readonly<Record<string, string>>): boolean {
  for (const _ in metadata) return false;
  return true;
}

const EMPTY = Buffer.alloc(0);

/** Numbers of groups, as they are kept beside a message. */
export function listOf(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32BE(4 * index));
}

/** The same the other way. */
export function bytesOf(numbers: Iterable<number>): Buffer {
  const list = [...numbers];
  const bytes = Buffer.alloc(4 * list.length);
  for (const [index, number] of list.entries()) bytes.writeUInt32BE(number, 4 * index);
  return bytes;
}
