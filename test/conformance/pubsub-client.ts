import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { catalog } from '../../components-bridge/src/catalog.js';
import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  IncomingMessage,
  OutgoingMessage,
  Outcome,
  Published,
  SubscribeOptions,
} from '../../components-bridge/src/primitives/pubsub/broker.js';
import { eventually } from '../support/wait.js';

/** One bridge's way to a broker. */
export class BrokerClient {
  private constructor(
    readonly broker: Broker,
    /** What the component has reported, the last at the end. */
    readonly reports: readonly string[],
    /** What is removed in the end. */
    private readonly folder: string | undefined,
  ) {}

  /**
   * @param appId whose messages it gets, unless metadata says something else
   * @param folder for what the bridge keeps; by default one that is removed in the end
   */
  static async open(
    type: string,
    metadata: Readonly<Record<string, string>>,
    appId = 'app',
    folder?: string,
  ): Promise<BrokerClient> {
    const found = catalog.find((entry) => entry.type === type);
    if (found === undefined) throw new Error(`there is no type ${type}`);
    found.metadata.parse(metadata);
    const dataDir = folder ?? (await mkdtemp(join(tmpdir(), 'broker-')));
    const reports: string[] = [];
    const broker = (await (
      await found.load()
    ).open({
      ...{ name: 'broker', version: 'v1', appId, metadata, dataDir },
      log: pino({ level: 'silent' }),
      report: (status, reason) => void reports.push(reason === undefined ? status : `${status}: ${reason}`),
      invalidate: () => undefined,
    })) as Broker;
    return new BrokerClient(broker, reports, folder === undefined ? dataDir : undefined);
  }

  /** Publishes texts, each by itself or all together. @returns what became of each */
  async publish(topic: string, ...texts: readonly string[]): Promise<Published[]> {
    return this.publishAll(
      topic,
      texts.map((text) => outgoing(text)),
    );
  }

  async publishAll(topic: string, messages: readonly OutgoingMessage[]): Promise<Published[]> {
    const results = await this.broker.publish(topic, messages);
    return results.map((result) => {
      if (result instanceof BrokerError) throw result;
      return result;
    });
  }

  async subscribe(topic: string, options: TakerOptions = {}): Promise<Taker> {
    const taker = new Taker(options);
    taker.subscription = await this.broker.subscribe({
      topic,
      metadata: options.metadata ?? {},
      concurrency: options.concurrency ?? 1,
      receive: (message) => taker.receive(message),
    });
    return taker;
  }

  async close(): Promise<void> {
    await this.broker.close();
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }
}

export function outgoing(text: string, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { data: Buffer.from(text), contentType: 'application/cloudevents+json', metadata: {}, ...more };
}

export interface TakerOptions {
  readonly concurrency?: number;
  readonly metadata?: SubscribeOptions['metadata'];
  /** What it does with a message. By default it acknowledges. */
  readonly handle?: (message: IncomingMessage, text: string) => Outcome | Promise<Outcome>;
}

/** A subscriber that notes what it gets. */
export class Taker {
  subscription!: BrokerSubscription;
  readonly messages: IncomingMessage[] = [];
  /** When each came, on the clock of Date. */
  readonly times: number[] = [];
  inHand = 0;
  mostInHand = 0;

  constructor(private readonly options: TakerOptions) {}

  get texts(): string[] {
    return this.messages.map(({ data }) => Buffer.from(data).toString());
  }

  async receive(message: IncomingMessage): Promise<Outcome> {
    this.messages.push(message);
    this.times.push(Date.now());
    this.inHand++;
    this.mostInHand = Math.max(this.mostInHand, this.inHand);
    try {
      return (await this.options.handle?.(message, Buffer.from(message.data).toString())) ?? 'ack';
    } finally {
      this.inHand--;
    }
  }

  /** Waits until it has so many. */
  async has(count: number, timeoutMs = 15_000): Promise<string[]> {
    try {
      await eventually(`${count} messages`, () => this.messages.length >= count, { timeoutMs, everyMs: 5 });
    } catch (error) {
      throw new Error(`${(error as Error).message}; there are ${this.messages.length}`, { cause: error });
    }
    return this.texts;
  }

  close(): Promise<void> {
    return this.subscription.close();
  }
}
