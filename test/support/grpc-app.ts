import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, JsonObject, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { Metadata, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/appcallback_pb.js';
import * as layotto from '../../components-bridge/src/gen/spec/proto/runtime/v1/appcallback_pb.js';
import { freePort } from './ports.js';

/** An event that the app got, by whichever method. */
export interface ToldEvent {
  /** Method by which it came, and which call of all it was. */
  method: string;
  call: number;
  pubsub: string;
  topic: string;
  path: string;
  data: string;
  /** The event's further attributes. */
  extensions: JsonObject;
  metadata: Metadata;
}

const DAPR = '/dapr.proto.runtime.v1.AppCallback';
const LAYOTTO = '/spec.proto.runtime.v1.AppCallback';

/** What Dapr's API has for many events. */
export const BULK = [
  `${DAPR}/OnBulkTopicEvent`,
  '/dapr.proto.runtime.v1.AppCallbackAlpha/OnBulkTopicEventAlpha1',
] as const;

type Subscription = MessageInitShape<typeof dapr.TopicSubscriptionSchema>;

/** A gRPC app with Dapr's callbacks and Layotto's: it says what it subscribes to, and keeps what it is told. */
export class GrpcApp {
  readonly events: ToldEvent[] = [];
  /** By Dapr's API, and by Layotto's. */
  subscriptions: Subscription[] = [];
  layottoSubscriptions: MessageInitShape<typeof layotto.TopicSubscriptionSchema>[] = [];
  /** Status of each event: 0 SUCCESS, 1 RETRY, 2 DROP; undefined: it says nothing of it. */
  answer: (event: ToldEvent) => number | undefined = () => 0;
  /** Methods for many events that it has. */
  bulk: readonly string[] = [];
  #calls = 0;
  #server: Server | undefined;

  private constructor(readonly port: number) {}

  /** An app that does not listen yet. */
  static async open(): Promise<GrpcApp> {
    return new GrpcApp(await freePort());
  }

  async start(): Promise<void> {
    const server = new Server();
    const add = (service: ServiceDefinition, handlers: UntypedServiceImplementation): void =>
      server.addService(service, handlers);
    const methods = [
      method(
        `${DAPR}/ListTopicSubscriptions`,
        EmptySchema,
        dapr.ListTopicSubscriptionsResponseSchema,
        () => ({
          subscriptions: this.subscriptions,
        }),
      ),
      method(
        `${DAPR}/OnTopicEvent`,
        dapr.TopicEventRequestSchema,
        dapr.TopicEventResponseSchema,
        (event, as) => ({
          status: this.#note(as, event, event.path, event) ?? 0,
        }),
      ),
      method(
        `${LAYOTTO}/ListTopicSubscriptions`,
        EmptySchema,
        layotto.ListTopicSubscriptionsResponseSchema,
        () => ({ subscriptions: this.layottoSubscriptions }),
      ),
      method(
        `${LAYOTTO}/OnTopicEvent`,
        layotto.TopicEventRequestSchema,
        layotto.TopicEventResponseSchema,
        (event, as) => ({ status: this.#note(as, event, '', event) ?? 0 }),
      ),
      ...this.bulk.map((path) =>
        method(path, dapr.TopicEventBulkRequestSchema, dapr.TopicEventBulkResponseSchema, (request, as) => ({
          statuses: request.entries.flatMap(({ entryId, event }) => {
            const content = event.case === 'cloudEvent' ? event.value : { data: event.value };
            const said = this.#note(as, request, request.path, content);
            return said === undefined ? [] : [{ entryId, status: said }];
          }),
        })),
      ),
    ];
    for (const [name, { definition, handler }] of methods.entries())
      add({ [name]: definition }, { [name]: handler(() => ++this.#calls) });
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
    this.#server = server;
  }

  /** Its connections are lost, as if it were killed. */
  async stop(): Promise<void> {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  /** What it was told of a topic, oldest first. */
  told(topic: string): ToldEvent[] {
    return this.events.filter((event) => event.topic === topic);
  }

  #note(
    as: Told,
    { pubsubName: pubsub, topic }: { pubsubName: string; topic: string },
    path: string,
    { data = new Uint8Array(0), extensions = {} }: { data?: Uint8Array | undefined; extensions?: JsonObject },
  ): number | undefined {
    const event = { ...as, pubsub, topic, path, data: Buffer.from(data).toString(), extensions };
    this.events.push(event);
    return this.answer(event);
  }
}

type Told = Pick<ToldEvent, 'method' | 'call' | 'metadata'>;

/** A unary method by its path, and what handles it. */
function method<In extends DescMessage, Out extends DescMessage>(
  path: string,
  input: In,
  output: Out,
  handle: (request: MessageShape<In>, as: Told) => MessageInitShape<Out>,
): {
  definition: ServiceDefinition[string];
  handler: (call: () => number) => UntypedServiceImplementation[string];
} {
  return {
    definition: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: (message: MessageShape<In>) => Buffer.from(toBinary(input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      responseSerialize: (message: MessageShape<Out>) => Buffer.from(toBinary(output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
    },
    handler:
      (call) =>
      (
        { request, metadata }: { request: MessageShape<In>; metadata: Metadata },
        answer: (error: object | null, message?: MessageShape<Out>) => void,
      ) => {
        const as = { method: path, call: call(), metadata };
        try {
          answer(null, create(output, handle(request, as)));
        } catch (error) {
          answer({ code: status.UNKNOWN, details: String(error) });
        }
      },
  };
}
