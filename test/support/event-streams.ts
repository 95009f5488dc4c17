import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/appcallback_pb.js';
import * as layotto from '../../components-bridge/src/gen/spec/proto/runtime/v1/appcallback_pb.js';

const PATHS = {
  layotto: '/spec.proto.runtime.v1.Runtime/SubscribeTopicEvents',
  dapr: '/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1',
};

type Request = layotto.SubscribeTopicEventsRequest['request'];
type Event = layotto.TopicEventRequest | dapr.TopicEventRequest;

/** A stream of events, and what came on it. */
export class EventStream {
  readonly events: Event[] = [];
  /** It has been said that the subscription holds. */
  begun = false;
  /** How it ended; undefined: it has not. */
  ended: { code: number; details: string } | undefined;
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<layotto.SubscribeTopicEventsRequest, unknown>;

  /** @param api whose words are spoken @param settle whether events are answered with SUCCESS as they come */
  constructor(
    port: number,
    private readonly api: 'layotto' | 'dapr',
    initial:
      | { pubsubName: string; topic: string; metadata?: Record<string, string>; deadLetterTopic?: string }
      | undefined,
    settle = true,
  ) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    this.#stream = this.#client.makeBidiStreamRequest(
      PATHS[api],
      (request: layotto.SubscribeTopicEventsRequest) =>
        Buffer.from(toBinary(layotto.SubscribeTopicEventsRequestSchema, request)),
      (bytes: Buffer) => bytes,
    );
    this.#stream.on('data', (bytes: Buffer) => {
      const event = this.#read(bytes);
      if (event === undefined) this.begun = true;
      else {
        this.events.push(event);
        if (settle) this.settle(event.id, 0);
      }
    });
    this.#stream.on('error', ({ code, details }: ServiceError) => (this.ended = { code, details }));
    this.#stream.on('end', () => (this.ended ??= { code: 0, details: '' }));
    if (initial !== undefined)
      this.send({
        case: 'initialRequest',
        value: create(layotto.SubscribeTopicEventsRequestInitialSchema, { metadata: {}, ...initial }),
      });
  }

  /** Data of the events as texts. */
  get data(): string[] {
    return this.events.map(({ data }) => Buffer.from(data).toString());
  }

  send(request: Request): void {
    this.#stream.write(create(layotto.SubscribeTopicEventsRequestSchema, { request }));
  }

  /** @param status 0 SUCCESS, 1 RETRY, 2 DROP */
  settle(id: string, status: number): void {
    const value = create(layotto.SubscribeTopicEventsRequestProcessedSchema, { id, status: { status } });
    this.send({ case: 'eventProcessed', value });
  }

  /** The stream is broken. */
  close(): void {
    this.#stream.cancel();
    this.#client.close();
  }

  #read(bytes: Buffer): Event | undefined {
    const { response } =
      this.api === 'layotto'
        ? fromBinary(layotto.SubscribeTopicEventsResponseSchema, bytes)
        : fromBinary(dapr.SubscribeTopicEventsResponseAlpha1Schema, bytes);
    return response.case === 'eventMessage' ? response.value : undefined;
  }
}
