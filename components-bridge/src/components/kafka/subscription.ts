import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type { BrokerSubscription, SubscribeOptions } from '../../primitives/pubsub/broker.js';
import { rangeAssigner } from './assigner.js';
import { Committer } from './committer.js';
import type { Partition } from './committer.js';
import { brokerError, causeOf } from './failure.js';
import { commitsOf, lagOf, newest } from './offsets.js';
import type { KafkaLink } from './link.js';
import type { KafkaMetadata } from './metadata.js';
import { Progress } from './progress.js';
import { messageOf } from './records.js';
import { subscribeTo } from './topics.js';

const RETRY_MS = 100;
/** A message's pause grows up to so many times the first one. */
const LONGEST_RETRIES = 100;
/** How long a broker keeps a question for messages; a group's changes are noticed in between. */
const FETCH_WAIT_MS = 250;
const FETCH_BYTES = 8 * 1024 * 1024;
const PARTITION_BYTES = 1024 * 1024;
/** A partition is not read on while more messages of it than this are here, or all together have more bytes. */
const HELD_MESSAGES = 500;
const HELD_BYTES = 16 * 1024 * 1024;
/** Nor if so many offsets are between the first message that is not settled and the last one. */
const LONGEST_SPAN = 50_000;
/** How often, and in what pauses, a group is to be joined that cannot be yet. */
const JOIN_TRIES = 20;
const JOIN_MS = 250;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface GroupSettings {
  readonly group: string;
  readonly metadata: KafkaMetadata;
  readonly log: Logger;
}

/** A message that is here and not settled. */
interface Held {
  readonly partition: Partition;
  readonly record: KafkaMessage;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Messages of a topic for a group, as one member of it.
 *
 * The client's loop only takes messages in, so that its signs of life go on however long the app takes. They are
 * delivered from here, across partitions and within, as many at a time as asked for, and settled in any order.
 */
export class GroupSubscription implements BrokerSubscription {
  readonly #partitions = new Map<number, Partition>();
  readonly #ready: Held[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #committer: Committer;
  #consumer: Consumer | undefined;
  #inHand = 0;
  #bytes = 0;
  #closing: Promise<void> | undefined;
  #ended = false;
  #idle: () => void = () => undefined;
  #hurry: () => void = () => undefined;

  private constructor(
    private readonly link: KafkaLink,
    private readonly settings: GroupSettings,
    private readonly options: SubscribeOptions,
  ) {
    this.#committer = new Committer(
      options.topic,
      () => this.#partitions.values(),
      () => this.#consumer,
      settings.log,
    );
  }

  /** Joins the group; resolves when it has been given its partitions. @throws BrokerError */
  static async open(
    link: KafkaLink,
    settings: GroupSettings,
    options: SubscribeOptions,
  ): Promise<GroupSubscription> {
    const subscription = new GroupSubscription(link, settings, options);
    for (let tries = 1; ; tries++) {
      try {
        await link.call(() => subscription.#join());
        return subscription;
      } catch (error) {
        // A group's coordinator that was just chosen has to read what it is to know.
        const again = (error as BrokerError).kind === 'unavailable' && link.gate.lost === undefined;
        if (!again || tries === JOIN_TRIES) {
          await subscription.abandon();
          throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, JOIN_MS));
    }
  }

  lag(): Promise<number> {
    const own = new Map([...this.#partitions.values()].map(({ number, progress }) => [number, progress]));
    const { metadata, group } = this.settings;
    const fromOldest = metadata.initialOffset !== 'newest';
    return this.link.call(() => lagOf(this.link.admin, group, this.options.topic, own, fromOldest));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Leaves the group at once; what is in hand will be delivered again to others. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#drop(() => true);
    this.#hurry();
    await this.#committer.end();
    await this.#consumer?.disconnect().catch(() => undefined);
  }

  async #close(): Promise<void> {
    this.#drop(() => true);
    for (const partition of this.#partitions.values()) this.#pause(partition);
    if (this.#inHand > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.abandon();
  }

  /** Becomes a member, with a client of its own. @throws what the client throws */
  async #join(): Promise<void> {
    const { metadata, group, log } = this.settings;
    const consumer = this.link.kafka.consumer({
      groupId: group,
      partitionAssigners: [rangeAssigner],
      sessionTimeout: metadata.sessionTimeout ?? 10_000,
      heartbeatInterval: metadata.heartbeatInterval ?? 3_000,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      minBytes: metadata.consumerFetchMin ?? 1,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: metadata.consumerFetchDefault ?? PARTITION_BYTES,
      metadataMaxAge: metadata.clientConnectionTopicMetadataRefreshInterval ?? 300_000,
      allowAutoTopicCreation: true,
      // Begun anew from here, whatever the reason was.
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
    this.#consumer = consumer;
    try {
      let joined: (partitions: readonly number[]) => void = () => undefined;
      let crashed: (error: unknown) => void = () => undefined;
      const first = new Promise<readonly number[]>((resolve, reject) => {
        joined = resolve;
        crashed = reject;
      });
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        const numbers = payload.memberAssignment[this.options.topic] ?? [];
        this.#assigned(numbers);
        joined(numbers);
      });
      let running = false;
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        crashed(payload.error);
        if (!running) return;
        log.warn(
          { topic: this.options.topic, reason: reasonOf(causeOf(payload.error)) },
          'no messages can be had',
        );
        void this.#rejoin(consumer);
      });
      await consumer.connect();
      const stillWanted = (): void => {
        // Whoever closed it meanwhile could not end what had not begun.
        if (this.#ended) throw new BrokerError('unavailable', 'the subscription is closed');
      };
      await subscribeTo(consumer, this.options.topic, metadata.initialOffset !== 'newest');
      first.catch(() => undefined);
      stillWanted();
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 4,
        eachBatch: (batch) => this.#takeIn(batch),
      });
      const numbers = await first;
      running = true;
      if (metadata.initialOffset === 'newest')
        await newest(this.link.admin, consumer, group, this.options.topic, numbers);
      stillWanted();
    } catch (error) {
      await consumer.disconnect().catch(() => undefined);
      throw error;
    }
  }

  /** Joins again, until it is done or the subscription is closed. */
  async #rejoin(consumer: Consumer): Promise<void> {
    if (this.#consumer !== consumer) return;
    await consumer.disconnect().catch(() => undefined);
    for (let pause = FIRST_PAUSE_MS; !this.#ended; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.#hurry = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.#ended || this.link.gate.lost !== undefined) continue;
      try {
        await this.#join();
        return;
      } catch (error) {
        this.settings.log.warn(
          { topic: this.options.topic, reason: brokerError(error).message },
          'no messages can be had',
        );
      }
    }
  }

  /** The group was shared out anew. What is here of partitions that stay, stays. */
  #assigned(numbers: readonly number[]): void {
    for (const number of this.#partitions.keys()) {
      if (!numbers.includes(number)) this.#partitions.delete(number);
    }
    this.#drop(({ partition }) => this.#partitions.get(partition.number) !== partition);
    const added = numbers.filter((number) => !this.#partitions.has(number));
    const { group } = this.settings;
    const left = added.length === 0 ? undefined : commitsOf(this.link.admin, group, this.options.topic);
    for (const number of added) {
      const partition: Partition = {
        number,
        progress: new Progress(),
        ready: Promise.resolve(),
        paused: false,
        committed: '',
      };
      partition.ready = Promise.resolve(left)
        .then((commits) => {
          const commit = commits?.get(number);
          if (commit !== undefined && commit.offset >= 0) partition.progress = new Progress(commit);
        })
        // Then some may be delivered once more.
        .catch((error: unknown) =>
          this.settings.log.debug({ reason: reasonOf(error) }, 'no commits can be had'),
        );
      this.#partitions.set(number, partition);
    }
    for (const partition of this.#partitions.values()) {
      if (partition.paused || this.#closing !== undefined) this.#pause(partition);
    }
  }

  async #takeIn(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const partition = this.#partitions.get(batch.partition);
    if (partition === undefined) return;
    await partition.ready;
    if (this.#closing !== undefined || this.#ended || payload.isStale()) return;
    // It ends before what was read: this is another topic by the same name, or one that was cut.
    if (Number(batch.highWatermark) < partition.progress.low)
      partition.progress = new Progress({ offset: Number(batch.firstOffset() ?? 0), metadata: '' });
    if (this.#partitions.get(batch.partition) !== partition) return;
    for (const record of batch.messages) this.#hold(partition, record);
    partition.progress.passed(Number(batch.lastOffset()) + 1);
    payload.resolveOffset(batch.lastOffset());
    if (this.#overfull(partition, 1)) this.#pause(partition);
    this.#deliver();
    this.#committer.soon();
    await payload.heartbeat();
  }

  #hold(partition: Partition, record: KafkaMessage): void {
    const offset = Number(record.offset);
    if (!partition.progress.take(offset)) return;
    const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0);
    this.#bytes += bytes;
    this.#ready.push({ partition, record, offset, bytes });
  }

  #deliver(): void {
    while (this.#inHand < this.options.concurrency && this.#closing === undefined && !this.#ended) {
      const held = this.#ready.shift();
      if (held === undefined) return;
      void this.#hand(held);
    }
  }

  async #hand(held: Held): Promise<void> {
    const { partition, record, offset, bytes } = held;
    this.#inHand++;
    const { progress } = partition;
    const attempt = progress.deliver(offset);
    this.#committer.soon();
    const { topic } = this.options;
    const { escapeHeaders = false } = this.settings.metadata;
    let outcome: string;
    try {
      const message = messageOf(record, { topic, partition: partition.number, escapeHeaders }, attempt);
      outcome = await this.options.receive(message);
    } catch (error) {
      this.settings.log.debug({ offset, reason: reasonOf(error) }, 'delivery failed');
      outcome = 'retry';
    }
    this.#inHand--;
    const ours = this.#partitions.get(partition.number) === partition && !this.#ended;
    if (outcome === 'ack') progress.settle(offset);
    if (outcome === 'ack' || !ours || this.#closing !== undefined) this.#bytes -= bytes;
    else this.#again(held, attempt);
    if (ours) {
      this.#committer.soon();
      this.#resume();
    }
    if (this.#inHand === 0) this.#idle();
    this.#deliver();
  }

  /** Delivers a message again after its pause. */
  #again(held: Held, attempt: number): void {
    const { consumeRetryInterval = RETRY_MS } = this.settings.metadata;
    const pause = consumeRetryInterval * Math.min(2 ** (attempt - 1), LONGEST_RETRIES);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (
        this.#closing !== undefined ||
        this.#ended ||
        this.#partitions.get(held.partition.number) !== held.partition
      ) {
        this.#bytes -= held.bytes;
        return;
      }
      this.#ready.unshift(held);
      this.#deliver();
    }, pause);
    this.#timers.add(timer);
  }

  /** Lets go of messages that wait. */
  #drop(which: (held: Held) => boolean): void {
    const kept = this.#ready.filter((held) => !which(held));
    for (const { bytes } of this.#ready.filter(which)) this.#bytes -= bytes;
    this.#ready.splice(0, this.#ready.length, ...kept);
    if (!this.#ended && this.#closing === undefined) return;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** @param part of the bounds that counts */
  #overfull({ progress }: Partition, part: number): boolean {
    const messages = Math.max(HELD_MESSAGES, 2 * this.options.concurrency);
    return (
      progress.open > part * messages ||
      this.#bytes > part * HELD_BYTES ||
      progress.span > part * LONGEST_SPAN
    );
  }

  #pause(partition: Partition): void {
    partition.paused = true;
    this.#tell('pause', partition);
  }

  #resume(): void {
    if (this.#closing !== undefined) return;
    for (const partition of this.#partitions.values()) {
      if (!partition.paused || this.#overfull(partition, 0.5)) continue;
      partition.paused = false;
      this.#tell('resume', partition);
    }
  }

  #tell(what: 'pause' | 'resume', { number }: Partition): void {
    try {
      this.#consumer?.[what]([{ topic: this.options.topic, partitions: [number] }]);
    } catch (error) {
      // It is no member at the moment; what is to be paused is when it is one again.
      this.settings.log.debug({ topic: this.options.topic, reason: reasonOf(error) }, what);
    }
  }
}
