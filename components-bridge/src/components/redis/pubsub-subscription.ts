import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import { Pause } from '../../primitives/pause.js';
import type { BrokerSubscription, Outcome, SubscribeOptions } from '../../primitives/pubsub/broker.js';
import type { RedisConnection } from './connection.js';
import { answerCode } from './failure.js';
import type { RedisLink } from './link.js';
import { messageOf } from './stream-entry.js';
import type { Held } from './stream-entry.js';
import { StreamGroup } from './stream-group.js';

/** How long a read waits for messages. */
const BLOCK_MS = 2_000;
/** Messages that are read ahead hold so many bytes, about. */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;
/** How long what was read ahead should last: with less, more is read at a time, with more, less. */
const SOON_MS = 20;
const LATE_MS = 200;
/** Pause between tries to end a read that waits. */
const UNBLOCK_MS = 50;
/** How long `close` waits until the server knows what was acknowledged. */
const CLOSE_MS = 5_000;

export interface RedisSubscriptionOptions {
  readonly connection: RedisConnection;
  /** Of the group, and of the consumer in it. */
  readonly group: string;
  /** Milliseconds after which a message that nobody works on is delivered again; 0: never. */
  readonly processingMs: number;
  /** How often such messages are looked for, in milliseconds; 0: never. */
  readonly redeliverMs: number;
  readonly queueDepth: number;
  /** Milliseconds before try number `attempt`, from 1. */
  readonly pauseMs: (attempt: number) => number;
  readonly log: Logger;
}

/**
 * Delivers a stream to one subscriber. New messages are waited for on a connection of its own. All instances of an app
 * are one consumer of one group, as in Dapr and Layotto; what keeps a message in one hand is that it stays fresh: as
 * long as it is held its idle time is set back, and who looks for messages to deliver again takes only those whose
 * time is up.
 */
export class RedisSubscription implements BrokerSubscription {
  readonly #group: StreamGroup;
  readonly #concurrency: number;
  /** Read, and not given out. */
  #queue: Held[] = [];
  /** Everything that nobody else may take: what is in the queue, in hand, or acknowledged here but not yet there. */
  readonly #held = new Set<string>();
  #inHand = 0;
  #acks: string[] = [];
  #acking: Promise<void> | undefined;
  /** How many to read at a time. */
  #ahead: number;
  /** The same, by the size of the last ones. */
  #most = Infinity;
  #readAt = 0;
  #reading: Promise<void>;
  #link: { link: RedisLink; client: number | undefined; waiting: boolean } | undefined;
  #roomMade: () => void = () => undefined;
  readonly #pause = new Pause();
  #looking = false;
  /** There may be more to deliver again than was taken. */
  #moreAgain = false;
  readonly #timers: NodeJS.Timeout[] = [];
  #closing: Promise<void> | undefined;
  #idle: () => void = () => undefined;
  #ended = false;
  #said = '';

  private constructor(
    private readonly subscribed: SubscribeOptions,
    private readonly options: RedisSubscriptionOptions,
  ) {
    const { connection, group, processingMs, redeliverMs, queueDepth } = options;
    this.#group = new StreamGroup(connection, subscribed.topic, group);
    this.#concurrency = subscribed.concurrency;
    this.#ahead = Math.min(subscribed.concurrency, queueDepth);
    this.#reading = Promise.resolve();
    if (processingMs > 0) {
      const refresh = (): void => void this.#refresh();
      this.#timers.push(setInterval(refresh, Math.max(processingMs / 3, 50)).unref());
    }
    if (this.#redelivers) {
      const look = (): void => void this.#takeAgain();
      this.#timers.push(setInterval(look, Math.max(redeliverMs, 50)).unref());
    }
  }

  /** @throws what the server answered; RedisUnavailable */
  static async start(
    subscribed: SubscribeOptions,
    options: RedisSubscriptionOptions,
  ): Promise<RedisSubscription> {
    const subscription = new RedisSubscription(subscribed, options);
    try {
      await subscription.#group.create();
    } catch (error) {
      subscription.end();
      throw error;
    }
    subscription.#reading = subscription.#read();
    void subscription.#takeAgain();
    return subscription;
  }

  lag(): Promise<number> {
    return this.#group.lag();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Lets go of everything at once. What is in hand is delivered again to others, after its time. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#pause.end();
    this.#roomMade();
    this.#idle();
    this.#link?.link.close();
  }

  get #redelivers(): boolean {
    return this.options.processingMs > 0 && this.options.redeliverMs > 0;
  }

  get #stopped(): boolean {
    return this.#closing !== undefined || this.#ended;
  }

  async #close(): Promise<void> {
    this.#roomMade();
    this.#pause.end();
    await this.#stopReading();
    if (!this.#redelivers) this.#pump();
    else await this.#giveBack();
    while (this.#inHand > 0 && !this.#ended) await new Promise<void>((resolve) => (this.#idle = resolve));
    const end = Date.now() + CLOSE_MS;
    while (this.#acks.length > 0 && !this.#ended && Date.now() < end) {
      await this.#acknowledge();
      if (this.#acks.length > 0) await sleep(50);
    }
    this.end();
  }

  /** Ends the read that waits, without losing what it may bring. */
  async #stopReading(): Promise<void> {
    let over = false;
    const reading = this.#reading.then(() => (over = true));
    while (!over) {
      const { link, client, waiting = false } = this.#link ?? {};
      if (!waiting) link?.close();
      else if (client !== undefined) await this.#group.unblock(client);
      // One that was not there yet is ended by the next try.
      await Promise.race([reading, sleep(UNBLOCK_MS)]);
    }
  }

  /** What was read and not given out is for whoever looks next. */
  async #giveBack(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    const { processingMs } = this.options;
    for (const { entry, attempt } of queue) {
      this.#held.delete(entry.id);
      await this.#group.age(entry.id, processingMs, attempt - 1).catch(() => undefined);
    }
  }

  /** Reads new messages, on one connection after another, until it is closed. */
  async #read(): Promise<void> {
    const { connection, pauseMs } = this.options;
    let failures = 0;
    while (!this.#stopped) {
      try {
        if (failures > 0) await this.#group.create();
        const link = connection.apart(this.subscribed.topic, BLOCK_MS);
        this.#link = { link, client: undefined, waiting: false };
        await link.connect();
        this.#link.client = await link.client.client('ID').catch(() => undefined);
        this.#say('');
        while (await this.#readOnce(link)) failures = 0;
      } catch (error) {
        if (this.#stopped) break;
        failures++;
        // A stream that was removed is there again at once.
        const gone = answerCode(error) === 'NOGROUP' && failures === 1;
        if (!gone) {
          this.#say(reasonOf(this.#link?.link.failure(error) ?? error));
          await this.#pause.take(pauseMs(failures));
        }
      } finally {
        this.#link?.link.close();
        this.#link = undefined;
      }
    }
  }

  /** @returns whether to go on with this connection */
  async #readOnce(link: RedisLink): Promise<boolean> {
    while (!this.#stopped && !this.#wantsMore)
      await new Promise<void>((resolve) => (this.#roomMade = resolve));
    if (this.#stopped || this.#link === undefined) return false;
    const { topic } = this.subscribed;
    this.#link.waiting = true;
    const entries = await this.#group.read(link, this.#ahead, BLOCK_MS).finally(() => {
      if (this.#link !== undefined) this.#link.waiting = false;
    });
    if (entries.length === 0) {
      // Another server may have the key by now, and this one may not know.
      const remote = this.options.connection.remote(topic);
      return remote === undefined || remote === link.remote;
    }
    this.#readAt = performance.now();
    let bytes = 0;
    for (const entry of entries) {
      for (const field of entry.fields) bytes += field.length;
      this.#held.add(entry.id);
      this.#queue.push({ entry, attempt: 1 });
    }
    const most = Math.max(1, Math.floor((READ_AHEAD_BYTES * entries.length) / Math.max(bytes, 1)));
    this.#ahead = Math.min(this.#ahead, most);
    this.#most = most;
    this.#pump();
    return true;
  }

  get #wantsMore(): boolean {
    return this.#queue.length < this.#concurrency && this.#inHand < this.#concurrency;
  }

  #pump(): void {
    if (this.#ended || (this.#closing !== undefined && this.#redelivers)) return;
    while (this.#inHand < this.#concurrency) {
      const held = this.#queue.shift();
      if (held === undefined) break;
      if (this.#queue.length === 0) this.#tune();
      void this.#deliver(held);
    }
    if (this.#wantsMore) this.#roomMade();
    if (this.#moreAgain && this.#queue.length === 0) void this.#takeAgain();
  }

  /** The queue is empty: was that soon, or late? */
  #tune(): void {
    const lasted = performance.now() - this.#readAt;
    const { queueDepth } = this.options;
    if (lasted < SOON_MS) this.#ahead = Math.min(2 * this.#ahead, queueDepth, this.#most);
    else if (lasted > LATE_MS) this.#ahead = Math.max(1, Math.floor(this.#ahead / 2));
  }

  async #deliver({ entry, attempt }: Held): Promise<void> {
    this.#inHand++;
    let outcome: Outcome;
    try {
      outcome = await this.subscribed.receive(messageOf(entry, attempt));
    } catch {
      outcome = 'retry';
    }
    this.#inHand--;
    if (this.#ended) return;
    if (outcome === 'ack') {
      this.#acks.push(entry.id);
      void this.#acknowledge();
    } else this.#held.delete(entry.id);
    if (this.#inHand === 0) this.#idle();
    this.#pump();
  }

  /** Tells the server what is done with; what it cannot be told now, with the next ones or the next look. */
  #acknowledge(): Promise<void> {
    this.#acking ??= this.#sendAcks().finally(() => (this.#acking = undefined));
    return this.#acking;
  }

  async #sendAcks(): Promise<void> {
    // What is settled in the same turn goes along.
    await Promise.resolve();
    while (this.#acks.length > 0) {
      const ids = this.#acks;
      this.#acks = [];
      try {
        await this.#group.acknowledge(ids);
        for (const id of ids) this.#held.delete(id);
      } catch {
        this.#acks.push(...ids);
        return;
      }
    }
  }

  /** What is held stays out of others' hands. */
  async #refresh(): Promise<void> {
    if (this.#acks.length > 0) await this.#acknowledge();
    if (this.#held.size > 0) await this.#group.refresh([...this.#held]).catch(() => undefined);
  }

  /** Takes messages that nobody works on any more. */
  async #takeAgain(): Promise<void> {
    if (this.#looking || this.#stopped || !this.#redelivers) return;
    this.#looking = true;
    this.#moreAgain = false;
    try {
      const room = this.#concurrency;
      const { processingMs } = this.options;
      const found = await this.#group.overdue(processingMs, room, (id) => this.#held.has(id));
      this.#moreAgain = found.length >= room;
      const taken = await this.#group.claim(found, processingMs);
      for (const { entry } of taken) this.#held.add(entry.id);
      // They have waited long enough.
      this.#queue.unshift(...taken);
      if (this.#stopped && this.#redelivers) await this.#giveBack();
      else this.#pump();
    } catch {
      // The connection is away, or the stream; the next look finds them.
    } finally {
      this.#looking = false;
    }
  }

  /** One line when it changes why nothing is read. */
  #say(reason: string): void {
    if (reason === this.#said) return;
    this.#said = reason;
    const { topic } = this.subscribed;
    if (reason === '') this.options.log.info({ topic }, 'messages are read again');
    else this.options.log.warn({ topic, reason }, 'messages cannot be read now');
  }
}
