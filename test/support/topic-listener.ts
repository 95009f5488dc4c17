import { pino } from 'pino';

import { open } from '../../components-bridge/src/components/embedded/pubsub.js';
import type { Broker, IncomingMessage } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { eventually } from './wait.js';

/** Hears what is published to an embedded broker, as another app would: it has the broker open beside the bridge. */
export class Listener {
  readonly #heard = new Map<string, IncomingMessage[]>();

  private constructor(private readonly broker: Broker) {}

  /** @param dataDir of the runtime @param name of its component */
  static async of(dataDir: string, name: string): Promise<Listener> {
    const broker = await open({
      ...{ name, dataDir, appId: 'listener', version: 'v1', metadata: {} },
      log: pino({ level: 'silent' }),
      report: () => undefined,
      invalidate: () => undefined,
    });
    return new Listener(broker);
  }

  /** Hears what is published to a topic from now on. */
  async listen(topic: string): Promise<void> {
    const heard: IncomingMessage[] = [];
    this.#heard.set(topic, heard);
    await this.broker.subscribe({
      topic,
      metadata: {},
      concurrency: 1,
      receive: async (message) => {
        heard.push(message);
        return 'ack';
      },
    });
  }

  /** The next message of a topic as it was published. */
  async nextMessage(topic: string): Promise<IncomingMessage> {
    const heard = this.#heard.get(topic) ?? [];
    await eventually(`something is published to ${topic}`, () => heard.length > 0);
    return heard.shift() as IncomingMessage;
  }

  /** The next event of a topic: what is in its CloudEvent. */
  async next(topic: string): Promise<Record<string, unknown>> {
    const { data } = await this.nextMessage(topic);
    return JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>;
  }

  close(): Promise<void> {
    return this.broker.close();
  }
}
