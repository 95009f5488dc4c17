import type { RedisConnection } from './connection.js';
import { answerCode } from './failure.js';
import type { RedisLink } from './link.js';
import { entriesOf, entriesRead } from './stream-entry.js';
import type { Held, StreamEntry } from './stream-entry.js';

/** How many ids one command names. */
const STEP = 100;
/** How many pages of pending messages are looked through, at servers that do not look themselves. */
const PAGES = 50;

/** A message that was delivered and not acknowledged. */
export interface PendingEntry {
  readonly id: string;
  /** Deliveries so far. */
  readonly attempts: number;
}

/** The commands for one group of consumers of a stream, all of whom have the group's name. */
export class StreamGroup {
  /** The server does not know XPENDING with IDLE, which came with Redis 6.2. */
  #old = false;

  constructor(
    private readonly connection: RedisConnection,
    private readonly topic: string,
    private readonly group: string,
  ) {}

  /** Makes the group, from the first message on that is there, unless it is there; and the stream. */
  async create(): Promise<void> {
    const create = ['CREATE', this.topic, this.group, '0', 'MKSTREAM'];
    try {
      // From Redis 7 on it counts what the group has read, if it knows where it begins.
      await this.#run('XGROUP', ...create, 'ENTRIESREAD', 0).catch((error: unknown) => {
        if (answerCode(error) !== 'ERR') throw error;
        return this.#run('XGROUP', ...create);
      });
    } catch (error) {
      if (answerCode(error) !== 'BUSYGROUP') throw error;
    }
  }

  /** New messages, as soon as there are any. */
  async read(link: RedisLink, count: number, waitMs: number): Promise<StreamEntry[]> {
    const { topic, group } = this;
    const options = ['COUNT', count, 'BLOCK', waitMs, 'STREAMS', topic, '>'];
    return entriesRead(await link.client.callBuffer('XREADGROUP', 'GROUP', group, group, ...options));
  }

  /** Ends a read that waits; if the server does not allow that, it ends by itself. */
  async unblock(client: number): Promise<void> {
    await this.#run('CLIENT', 'UNBLOCK', client).catch(() => undefined);
  }

  async acknowledge(ids: readonly string[]): Promise<void> {
    await this.#inSteps(ids, (step) => this.#run('XACK', this.topic, this.group, ...step));
  }

  /** Sets the idle time of messages back, and counts no delivery. */
  async refresh(ids: readonly string[]): Promise<void> {
    const { topic, group } = this;
    await this.#inSteps(ids, (step) => this.#run('XCLAIM', topic, group, group, 0, ...step, 'JUSTID'));
  }

  /** Makes a message overdue that was not delivered after all. */
  async age(id: string, idleMs: number, attempts: number): Promise<void> {
    const { topic, group } = this;
    const options = ['IDLE', idleMs, 'RETRYCOUNT', attempts, 'JUSTID'];
    await this.#run('XCLAIM', topic, group, group, 0, id, ...options);
  }

  /** Messages that nobody has worked on for so long, the oldest first. */
  async overdue(idleMs: number, limit: number, isHeld: (id: string) => boolean): Promise<PendingEntry[]> {
    const found: PendingEntry[] = [];
    let start = '-';
    for (let page = 0; page < PAGES && found.length < limit; page++) {
      const pending = await this.#pending(idleMs, start);
      for (const { id, idle, attempts } of pending) {
        if (idle >= idleMs && !isHeld(id) && found.length < limit) found.push({ id, attempts });
      }
      const last = pending.at(-1);
      if (last === undefined || pending.length < STEP) break;
      start = after(last.id);
    }
    return found;
  }

  /** Those of the messages that nobody else has taken meanwhile. */
  async claim(pending: readonly PendingEntry[], idleMs: number): Promise<Held[]> {
    if (pending.length === 0) return [];
    const { topic, group } = this;
    const attempts = new Map(pending.map((entry) => [entry.id, entry.attempts]));
    const answer = await this.connection.run(topic, (next) =>
      next().callBuffer('XCLAIM', topic, group, group, idleMs, ...attempts.keys()),
    );
    return entriesOf(answer).map((entry) => ({ entry, attempt: (attempts.get(entry.id) ?? 0) + 1 }));
  }

  /** Messages that the group has not acknowledged. An estimate at servers before Redis 7, which do not count. */
  async lag(): Promise<number> {
    const groups = listOf(await this.#run('XINFO', 'GROUPS', this.topic)).map(recordOf);
    const own = groups.find((group) => group['name'] === this.group);
    if (own === undefined) return 0;
    const pending = Number(own['pending'] ?? 0);
    const stream = recordOf(await this.#run('XINFO', 'STREAM', this.topic));
    const length = Number(stream['length'] ?? 0);
    const lag = own['lag'];
    // What was trimmed may be counted.
    if (typeof lag === 'number') return pending + Math.min(lag, length);
    return pending + Math.min(undelivered(stream, String(own['last-delivered-id'])), length);
  }

  /** The first page of pending messages from an id on. */
  async #pending(idleMs: number, start: string): Promise<{ id: string; idle: number; attempts: number }[]> {
    const { topic, group } = this;
    const range = [start, '+', STEP];
    let answer: unknown;
    try {
      answer = await this.#run('XPENDING', topic, group, ...(this.#old ? [] : ['IDLE', idleMs]), ...range);
    } catch (error) {
      if (this.#old || answerCode(error) !== 'ERR') throw error;
      this.#old = true;
      answer = await this.#run('XPENDING', topic, group, ...range);
    }
    return listOf(answer).map((entry) => {
      const [id, , idle, attempts] = listOf(entry);
      return { id: String(id), idle: Number(idle), attempts: Number(attempts) };
    });
  }

  async #inSteps(ids: readonly string[], send: (step: readonly string[]) => Promise<unknown>): Promise<void> {
    const steps: Promise<unknown>[] = [];
    for (let at = 0; at < ids.length; at += STEP) steps.push(send(ids.slice(at, at + STEP)));
    await Promise.all(steps);
  }

  #run(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.connection.run(this.topic, (next) => next().call(command, ...args));
  }
}

/** The id that comes next, so that a page may begin with it. */
function after(id: string): string {
  const [ms = '0', sequence = '0'] = id.split('-');
  return `${ms}-${BigInt(sequence) + 1n}`;
}

/** How many entries stand behind an id, if those of different times came evenly. */
function undelivered(stream: Record<string, unknown>, delivered: string): number {
  const [last, first] = [String(stream['last-generated-id']), String(listOf(stream['first-entry'])[0])];
  const [lastTime, lastSequence] = partsOf(last);
  const [time, sequence] = partsOf(delivered);
  if (lastTime <= time) return Math.max(0, lastSequence - sequence);
  const [firstTime] = partsOf(first);
  if (time < firstTime) return Infinity;
  return Math.max(1, Math.round((Number(stream['length']) * (lastTime - time)) / (lastTime - firstTime)));
}

function partsOf(id: string): [ms: number, sequence: number] {
  const [ms, sequence] = id.split('-').map(Number);
  return [ms || 0, sequence || 0];
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** A list of names and values, as RESP2 has them. */
function recordOf(value: unknown): Record<string, unknown> {
  const list = listOf(value);
  const record: Record<string, unknown> = {};
  for (let at = 0; at + 1 < list.length; at += 2) record[String(list[at])] = list[at + 1];
  return record;
}
