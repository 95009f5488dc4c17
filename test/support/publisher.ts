import { EmptySchema } from '@bufbuild/protobuf/wkt';

import { PublishEventRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import type { RawClient } from './grpc-raw.js';
import type { Runtime } from './runtime.js';

export interface PublishOptions {
  contentType?: string;
  metadata?: Record<string, string>;
  /** The publisher's W3C trace context. */
  traceparent?: string;
}

/** Publishes by Dapr's gRPC API to one component. */
export class Publisher {
  private constructor(
    private readonly client: RawClient,
    private readonly pubsub: string,
  ) {}

  /** Its connection ends with the runtime. @param pubsub name of the component */
  static async of(runtime: Runtime, pubsub = 'pubsub'): Promise<Publisher> {
    return new Publisher(await runtime.connect(), pubsub);
  }

  /** @param data bytes as they are, a text of another type than JSON, or any value as JSON */
  async publish(
    topic: string,
    data: unknown,
    { contentType = 'application/json', metadata = {}, traceparent }: PublishOptions = {},
  ): Promise<void> {
    const text = contentType === 'application/json' ? JSON.stringify(data) : String(data);
    const request = {
      ...{ pubsubName: this.pubsub, topic, dataContentType: contentType, metadata },
      data: data instanceof Uint8Array ? data : Buffer.from(text),
    };
    const path = '/dapr.proto.runtime.v1.Dapr/PublishEvent';
    const headers: Record<string, string> = traceparent === undefined ? {} : { traceparent };
    const answer = await this.client.unary(path, PublishEventRequestSchema, request, EmptySchema, {
      headers,
    });
    if (answer.grpcStatus !== 0)
      throw new Error(`publishing failed: ${answer.grpcStatus} ${answer.grpcMessage}`);
  }
}
