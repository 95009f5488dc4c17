import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import type { ConsumerConfig } from '@nats-io/jetstream';
import { createInbox, nanos } from '@nats-io/transport-node';
import type { Msg, Subscription } from '@nats-io/transport-node';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  BrokerSubscription,
  IncomingMessage,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import { deliveryOf } from './delivery.js';
import { JetStreamCode, brokerError, jetStreamCode } from './failure.js';
import type { NatsLink } from './link.js';
import type { NatsMetadata } from './metadata.js';
import { nameFor } from './streams.js';
import type { Streams } from './streams.js';

const ACK_WAIT_MS = 15_000;
const REDELIVER_MS = 1_000;
const HEARTBEAT_MS = 5_000;
/** How long the server keeps a request for messages: one that was lost on its way is made up for by then. */
const PULL_MS = 30_000;
/** Pause between two looks at what is held. */
const TICK_MS = 250;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** A server that does not answer to this, when a subscription is closed, is not waited for any longer. */
const FAREWELL_MS = 1_000;

const ACK = '+ACK';
const ALIVE = '+WPI';

/** What acknowledgements and the group of a subscription are made of. */
export interface PullSettings {
  readonly group: string;
  readonly metadata: NatsMetadata;
  readonly log: Logger;
}

/** A message that was delivered and is not settled. */
interface Held {
  readonly message: IncomingMessage;
  /** Where it is acknowledged. */
  reply: string;
  /** When the server last heard of it, on the clock of `performance`. */
  heard: number;
}

/**
 * Messages of a topic for one group, from a durable consumer that every subscription of the group pulls from.
 *
 * No more messages are asked for than may be in hand. For those that are, the server is told in time that they are
 * being worked on, so that one that takes long is not delivered to somebody else.
 */
export class PullSubscription implements BrokerSubscription {
  readonly #held = new Map<string, Held>();
  readonly #waiting: Held[] = [];
  readonly #inbox = createInbox();
  readonly #ackWaitMs: number;
  readonly #heartbeatMs: number;
  readonly #concurrency: number;
  #stream = '';
  #consumer = '';
  #inHand = 0;
  /** Messages that were asked for and did not come yet. */
  #asked = 0;
  /** When the server was last heard of, on the clock of `performance`. */
  #heard = 0;
  #renewing = false;
  #closing: Promise<void> | undefined;
  #settled: () => void = () => undefined;
  #inbound: Subscription | undefined;
  #clock: NodeJS.Timeout | undefined;
  #forgetLink: () => void = () => undefined;

  private constructor(
    private readonly link: NatsLink,
    private readonly streams: Streams,
    private readonly settings: PullSettings,
    private readonly options: SubscribeOptions,
  ) {
    const { ackWait, heartbeat, concurrency } = settings.metadata;
    this.#ackWaitMs = ackWait ?? ACK_WAIT_MS;
    this.#heartbeatMs = heartbeat ?? HEARTBEAT_MS;
    this.#concurrency = concurrency === 'single' ? 1 : Math.max(1, options.concurrency);
  }

  /** Creates the consumer if it is missing, and begins to pull. @throws BrokerError */
  static async open(
    link: NatsLink,
    streams: Streams,
    settings: PullSettings,
    options: SubscribeOptions,
  ): Promise<PullSubscription> {
    const subscription = new PullSubscription(link, streams, settings, options);
    await link.call(() => subscription.#prepare());
    subscription.#start();
    return subscription;
  }

  async lag(): Promise<number> {
    const info = await this.link.call(() => this.link.manager.consumers.info(this.#stream, this.#consumer));
    return info.num_pending + info.num_ack_pending;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // What is here and in nobody's hand goes back at once, and so does what is on its way.
    for (const held of this.#waiting.splice(0)) this.#giveBack(held);
    const { connection } = this.link;
    const farewell = async (): Promise<void> => {
      if (!connection.isClosed() && this.link.lost === undefined)
        await within(FAREWELL_MS, connection.flush());
    };
    if (this.link.lost === undefined) await within(FAREWELL_MS, this.#inbound?.drain());
    else this.#inbound?.unsubscribe();
    if (this.#inHand > 0) await new Promise<void>((resolve) => (this.#settled = resolve));
    await farewell();
    clearInterval(this.#clock);
    this.#forgetLink();
  }

  /** Finds or creates stream and consumer. */
  async #prepare(): Promise<void> {
    const { topic } = this.options;
    const { name } = await this.streams.of(topic);
    const { durableName } = this.settings.metadata;
    const consumer = durableName || nameFor(`${this.settings.group}.${topic}`);
    await this.#findOrCreate(name, consumer);
    this.#stream = name;
    this.#consumer = consumer;
  }

  async #findOrCreate(stream: string, name: string): Promise<void> {
    const { consumers } = this.link.manager;
    const wanted = this.#config(name);
    let found: ConsumerConfig;
    try {
      found = (await consumers.info(stream, name)).config;
    } catch (error) {
      if (jetStreamCode(error) !== JetStreamCode.CONSUMER_NOT_FOUND) throw error;
      await consumers.add(stream, wanted);
      return;
    }
    const wrong = unfit(found, this.options.topic);
    if (wrong !== undefined)
      throw new BrokerError(
        'invalid',
        `consumer ${name} of stream ${stream} ${wrong}; name another one in durableName`,
      );
    const { ack_wait = 0, max_deliver = -1, max_ack_pending = found.max_ack_pending } = wanted;
    const same =
      found.ack_wait === ack_wait &&
      (found.max_deliver ?? -1) === max_deliver &&
      found.max_ack_pending === max_ack_pending;
    if (!same) await consumers.update(stream, name, { ack_wait, max_deliver, max_ack_pending });
  }

  #config(name: string): Partial<ConsumerConfig> {
    const {
      deliverPolicy = 'all',
      startSequence,
      startTime,
      maxDeliver,
      maxAckPending,
    } = this.settings.metadata;
    const { replicas, memoryStorage } = this.settings.metadata;
    return {
      durable_name: name,
      filter_subject: this.options.topic,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(this.#ackWaitMs),
      deliver_policy: POLICIES[deliverPolicy],
      ...(startSequence !== undefined && { opt_start_seq: startSequence }),
      ...(startTime !== undefined && { opt_start_time: new Date(startTime * 1_000).toISOString() }),
      ...(maxDeliver !== undefined && { max_deliver: maxDeliver }),
      ...(maxAckPending !== undefined && { max_ack_pending: maxAckPending }),
      ...(replicas !== undefined && { num_replicas: replicas }),
      ...(memoryStorage === true && { mem_storage: true }),
    };
  }

  #start(): void {
    this.#inbound = this.link.connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error) this.settings.log.warn({ topic: this.options.topic, reason: reasonOf(error) }, 'NATS');
        else this.#take(message);
      },
    });
    this.#forgetLink = this.link.onBack(() => void this.#renew());
    this.#clock = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#heard = performance.now();
    this.#pull();
  }

  #take(message: Msg): void {
    this.#heard = performance.now();
    if (message.subject === this.#inbox) this.#status(message);
    else {
      this.#asked = Math.max(0, this.#asked - 1);
      this.#hold(message);
    }
  }

  /** What the server says in place of a message. */
  #status(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) return;
    const left = Number(message.headers?.get('Nats-Pending-Messages') ?? '');
    this.#asked = Math.max(0, this.#asked - left);
    // 408: the request is over. Anything else says that consumer or stream has gone, or its leader.
    if (code === 408) this.#pull();
    else void this.#renew();
  }

  #hold(message: Msg): void {
    const delivery = deliveryOf(message);
    if (delivery === undefined) return;
    const known = this.#held.get(delivery.message.id);
    if (known !== undefined) {
      // Delivered again although it is in hand: signs of life got lost. Its outcome counts for this delivery, too.
      known.reply = delivery.reply;
      this.#say(known, ALIVE);
      this.#pull();
      return;
    }
    const held = { ...delivery, heard: performance.now() };
    if (this.#closing !== undefined) {
      this.#giveBack(held);
      return;
    }
    this.#held.set(held.message.id, held);
    if (this.#inHand < this.#concurrency) void this.#hand(held);
    else this.#waiting.push(held);
  }

  async #hand(held: Held): Promise<void> {
    this.#inHand++;
    let outcome: string;
    try {
      outcome = await this.options.receive(held.message);
    } catch (error) {
      this.settings.log.debug({ id: held.message.id, reason: reasonOf(error) }, 'delivery failed');
      outcome = 'retry';
    }
    this.#inHand--;
    this.#held.delete(held.message.id);
    if (outcome === 'ack') this.#say(held, ACK);
    else this.#say(held, `-NAK {"delay": ${nanos(this.#pauseBefore(held.message.attempt + 1))}}`);
    const next = this.#waiting.shift();
    if (next !== undefined) void this.#hand(next);
    else if (this.#closing !== undefined && this.#inHand === 0) this.#settled();
    this.#pull();
  }

  /** Milliseconds until a message is delivered for the `attempt`th time. */
  #pauseBefore(attempt: number): number {
    const { backOff, redeliverInterval, ackWait } = this.settings.metadata;
    const listed = backOff?.[Math.min(attempt - 2, backOff.length - 1)];
    return listed ?? redeliverInterval ?? ackWait ?? REDELIVER_MS;
  }

  #giveBack(held: Held): void {
    this.#held.delete(held.message.id);
    this.#say(held, '-NAK');
  }

  #say(held: Held, what: string): void {
    held.heard = performance.now();
    if (!this.link.connection.isClosed()) this.link.connection.publish(held.reply, what);
  }

  /** Asks for as many messages as there is room for. */
  #pull(): void {
    if (this.#closing !== undefined || this.#renewing || this.link.lost !== undefined) return;
    const room = this.#concurrency - this.#held.size - this.#asked;
    // Not one by one while others are still to come.
    if (room < 1 || (this.#asked > 0 && 2 * room < this.#concurrency)) return;
    this.#asked += room;
    const request = { batch: room, expires: nanos(PULL_MS), idle_heartbeat: nanos(this.#heartbeatMs) };
    const subject = `${this.link.jetStream.apiPrefix}.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`;
    this.link.connection.publish(subject, JSON.stringify(request), { reply: this.#inbox });
  }

  #tick(): void {
    if (this.link.connection.isClosed()) clearInterval(this.#clock);
    if (this.link.lost !== undefined) return;
    const now = performance.now();
    for (const held of this.#held.values()) {
      if (now - held.heard > this.#ackWaitMs / 3) this.#say(held, ALIVE);
    }
    if (this.#closing === undefined && this.#asked > 0 && now - this.#heard > 2.5 * this.#heartbeatMs)
      void this.#renew();
  }

  /** Looks for stream and consumer anew, until they are there, and pulls anew. */
  async #renew(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    for (
      let pause = FIRST_PAUSE_MS;
      this.#closing === undefined;
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
    ) {
      try {
        this.streams.forget(this.options.topic);
        await this.link.call(() => this.#prepare());
        break;
      } catch (error) {
        // The connection's own end is told by the component, and its return starts this anew.
        if (this.link.lost !== undefined) break;
        const reason = brokerError(error).message;
        this.settings.log.warn({ topic: this.options.topic, reason }, 'no messages can be had');
      }
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
    }
    this.#renewing = false;
    this.#asked = 0;
    this.#heard = performance.now();
    this.#pull();
  }
}

const POLICIES = {
  all: DeliverPolicy.All,
  last: DeliverPolicy.Last,
  new: DeliverPolicy.New,
  sequence: DeliverPolicy.StartSequence,
  time: DeliverPolicy.StartTime,
} as const;

/** Why an existing consumer cannot serve, undefined if it can. */
function unfit(config: ConsumerConfig, topic: string): string | undefined {
  if (config.deliver_subject) return 'is one that messages are pushed to';
  if (config.ack_policy !== AckPolicy.Explicit) return `has the acknowledgement policy ${config.ack_policy}`;
  const filters = config.filter_subjects ?? [config.filter_subject ?? '>'];
  if (filters.length !== 1 || filters[0] !== topic)
    return `is for ${filters.join(', ')}, not for topic ${topic}`;
  return undefined;
}

/** Waits for something, but not for ever; that it failed is nobody's concern any more. */
async function within(ms: number, something: Promise<unknown> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([Promise.resolve(something).catch(() => undefined), late]);
  clearTimeout(timer);
}
