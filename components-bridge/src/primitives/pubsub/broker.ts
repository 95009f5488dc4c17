import type { Component } from '../component.js';

/** A message on its way to a broker. */
export interface OutgoingMessage {
  /** What subscribers get: a CloudEvent in JSON, or what the app sent if it wants it raw. */
  readonly data: Uint8Array;
  /** Of `data`. */
  readonly contentType: string;
  /** The publisher's own metadata, in which a broker may find what it understands, such as a partition key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch before which it is not delivered. Only for brokers that can delay. */
  readonly notBefore?: number;
  /** Milliseconds since the epoch after which nobody wants it any more. */
  readonly expiresAt?: number;
}

/** What a broker says of a message that it has taken. */
export interface Published {
  /** The broker's own name for it; no two messages of a topic have the same. */
  readonly id: string;
  /** It is on disk, or on as many servers as the broker is set up for; false if a crash could lose it. */
  readonly persisted: boolean;
}

/** A message that a broker delivers. */
export interface IncomingMessage {
  /** What `Published.id` was. */
  readonly id: string;
  readonly data: Uint8Array;
  /** Of `data`, if the broker keeps it; absent for messages that others have published without one. */
  readonly contentType?: string;
  /** What the broker has beside the message, such as a partition; told to the app as headers. */
  readonly metadata: Readonly<Record<string, string>>;
  /** 1 for the first delivery. An estimate where the broker does not count. */
  readonly attempt: number;
}

/**
 * What became of a delivery: `ack`: it is done with; `retry`: it is to be delivered again later. Whoever throws has
 * said `retry`.
 */
export type Outcome = 'ack' | 'retry';

export interface SubscribeOptions {
  readonly topic: string;
  /** Metadata of the subscription, in which a broker may find what it understands. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Deliveries in hand at the same time, at most. At least 1. */
  readonly concurrency: number;
  /** Called for each message; resolves when the app has settled it. */
  receive(message: IncomingMessage): Promise<Outcome>;
}

/** A running subscription. */
export interface BrokerSubscription {
  /** Messages that this group of subscribers has not acknowledged, those in hand included, if the broker can say. */
  lag?(): Promise<number>;
  /**
   * Takes no more messages, and resolves when those in hand are settled and the broker knows it. Unsettled messages
   * are delivered again to whoever subscribes next. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * What a message broker must do, at least once: a message that was acknowledged to its publisher is delivered to each
 * group of subscribers until one of them acknowledges it, whoever crashes in between. Subscribers of one group (by
 * default those of one app: metadata `consumerID`) share messages, each group gets them all. A group that is new gets
 * what is published from its first subscription on; where the broker keeps older messages, these too.
 */
export interface Broker extends Component {
  /** It heeds `notBefore`. Where it does not, the runtime keeps messages until it is time. */
  readonly delays: boolean;
  /**
   * Publishes messages of one topic in their order, and says of each what became of it. Where it keeps the order of a
   * topic, it takes none after one that it could not take.
   *
   * @throws BrokerError if none of them was published
   */
  publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]>;
  /**
   * Delivers the messages of a topic until the subscription is closed. It resolves once messages that are published
   * from then on will be delivered; connections that are lost afterwards are its own business, reported by
   * `ComponentContext.report`.
   *
   * @throws BrokerError
   */
  subscribe(options: SubscribeOptions): Promise<BrokerSubscription>;
}

/** Why a broker did not do what it was asked. */
export class BrokerError extends Error {
  override name = 'BrokerError';

  /**
   * @param kind `unavailable`: it cannot be reached now; `invalid`: it would never take this; `full`: it keeps as much
   *   as it may, and takes more once subscribers have taken some; `failed`: anything else
   * @param message for people, without the component's name
   */
  constructor(
    readonly kind: 'unavailable' | 'invalid' | 'full' | 'failed',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
