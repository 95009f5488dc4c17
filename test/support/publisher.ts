import { pino } from 'pino';

import { open } from '../../components-bridge/src/components/embedded/pubsub.js';
import { envelop } from '../../components-bridge/src/primitives/pubsub/envelope.js';
import type { Broker } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { Runtime } from './runtime.js';

export interface PublishOptions {
  contentType?: string;
  metadata?: Record<string, string>;
  traceparent?: string;
}

/** Publishes to a runtime's embedded broker called `pubsub`. */
export class Publisher {
  private constructor(private readonly broker: Broker) {}
  static async of(runtime: Runtime): Promise<Publisher> {
    const broker = await open({
      name: 'pubsub',
      appId: 'app',
      version: 'v1',
      metadata: {},
      dataDir: runtime.config.dataDir,
      log: pino({ level: 'silent' }),
      report: () => undefined,
      invalidate: () => undefined,
    });
    return new Publisher(broker);
  }
  async publish(
    topic: string,
    data: unknown,
    { contentType = 'application/json', metadata = {}, traceparent = '' }: PublishOptions = {},
  ): Promise<string> {
    const bytes =
      data instanceof Uint8Array
        ? data
        : Buffer.from(contentType === 'application/json' ? JSON.stringify(data) : String(data));
    const [published] = await this.broker.publish(topic, [
      envelop({
        pubsub: 'pubsub',
        topic,
        data: bytes,
        dataContentType: contentType,
        metadata,
        dialect: 'dapr',
        appId: 'app',
        traceparent,
      }),
    ]);
    if (published === undefined || published instanceof Error) throw published ?? new Error('nothing');
    return published.id;
  }
  close(): Promise<void> {
    return this.broker.close();
  }
}
