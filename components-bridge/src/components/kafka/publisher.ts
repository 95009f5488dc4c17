import type { Message, Producer, RecordMetadata } from 'kafkajs';

import { BrokerError } from '../../primitives/pubsub/broker.js';
import type { OutgoingMessage, Published } from '../../primitives/pubsub/broker.js';
import { brokerError, kafkaType } from './failure.js';
import type { KafkaLink } from './link.js';
import { recordOf } from './records.js';
import { Partitions } from './partitions.js';

/** Sent together at most: what brokers take as one batch by default is a little more. */
const BATCH_BYTES = 900 * 1024;
/** The client's own effort grows with the square of it. */
const BATCH_MESSAGES = 500;
/** What a record has beside key, value and headers, at most. */
const RECORD_OVERHEAD = 64;

/** A message that waits to be sent. */
interface Waiting {
  readonly record: Message;
  readonly bytes: number;
  readonly done: (outcome: Published | BrokerError) => void;
  /** What was published with it, in its order: after one that failed none is sent. */
  readonly order: { failure?: BrokerError };
}

/** Messages of one topic on their way. */
interface Lane {
  readonly waiting: Waiting[];
  busy: boolean;
}

/**
 * Sends messages, each topic's in their order: one batch of a topic is on its way at a time, and what comes meanwhile
 * is in the next one.
 */
export class Publisher {
  readonly #lanes = new Map<string, Lane>();

  private constructor(
    private readonly producer: Producer,
    private readonly partitions: Partitions,
    private readonly link: KafkaLink,
    private readonly maxBytes: number | undefined,
    private readonly timeoutMs: number,
  ) {}

  /** @throws BrokerError */
  static async open(link: KafkaLink, maxBytes: number | undefined, timeoutMs: number): Promise<Publisher> {
    const partitions = new Partitions();
    const producer = link.kafka.producer({
      createPartitioner: () => partitions.choose,
      allowAutoTopicCreation: true,
    });
    await link.call(() => producer.connect());
    return new Publisher(producer, partitions, link, maxBytes, timeoutMs);
  }

  publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    const lane = this.#lanes.get(topic) ?? { waiting: [], busy: false };
    this.#lanes.set(topic, lane);
    const order: Waiting['order'] = {};
    const outcomes = messages.map(
      (message) =>
        new Promise<Published | BrokerError>((done) => {
          const record = recordOf(message);
          lane.waiting.push({ record, bytes: sizeOf(record), done, order });
        }),
    );
    if (!lane.busy) void this.#drain(topic, lane);
    return Promise.all(outcomes);
  }

  async close(): Promise<void> {
    await this.producer.disconnect().catch(() => undefined);
  }

  async #drain(topic: string, lane: Lane): Promise<void> {
    lane.busy = true;
    while (lane.waiting.length > 0) {
      const batch = nextBatch(lane.waiting).filter((one) => this.#stands(one));
      if (batch.length > 0) await this.#send(topic, batch);
    }
    this.#lanes.delete(topic);
  }

  /** Whether a message may be sent; if not, it is told. */
  #stands({ order, bytes, done }: Waiting): boolean {
    if (order.failure === undefined && this.maxBytes !== undefined && bytes > this.maxBytes) {
      const reason = `the message has ${bytes} bytes with its headers; maxMessageBytes is ${this.maxBytes}`;
      order.failure = new BrokerError('invalid', reason);
    }
    if (order.failure !== undefined) done(order.failure);
    return order.failure === undefined;
  }

  async #send(topic: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const records = batch.map(({ record }) => record);
      const answer = await this.link.call(() =>
        this.producer.send({ topic, messages: records, acks: -1, timeout: this.timeoutMs }),
      );
      for (const [index, id] of this.#idsOf(records, answer).entries())
        batch[index]?.done({ id, persisted: true });
    } catch (error) {
      // The batch is too large, which says nothing about its messages.
      if (batch.length > 1 && kafkaType((error as BrokerError).cause) === 'MESSAGE_TOO_LARGE') {
        for (const one of batch) if (this.#stands(one)) await this.#send(topic, [one]);
        return;
      }
      const failure = brokerError(error);
      for (const { order, done } of batch) done((order.failure ??= failure));
    }
  }

  /** `partition:offset` of each; the broker tells the offset of the first one of each partition. */
  #idsOf(records: readonly Message[], answer: readonly RecordMetadata[]): string[] {
    const next = new Map(answer.map(({ partition, baseOffset }) => [partition, BigInt(baseOffset ?? '-1')]));
    return records.map((record) => {
      const partition = this.partitions.of(record);
      const offset = next.get(partition) ?? -1n;
      next.set(partition, offset + 1n);
      return `${partition}:${offset}`;
    });
  }
}

/** Takes from the head as much as goes together. */
function nextBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const one of waiting) {
    if (count > 0 && (bytes + one.bytes > BATCH_BYTES || count === BATCH_MESSAGES)) break;
    bytes += one.bytes;
    count++;
  }
  return waiting.splice(0, count);
}

function sizeOf({ key, value, headers = {} }: Message): number {
  let bytes = RECORD_OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, content] of Object.entries(headers)) {
    bytes += 8 + 3 * name.length + (content === undefined ? 0 : Buffer.byteLength(String(content)));
  }
  return bytes;
}
