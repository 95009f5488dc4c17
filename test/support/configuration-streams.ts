import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/SubscribeConfiguration';
const DAPR = '/dapr.proto.runtime.v1.Dapr/SubscribeConfiguration';

type LayottoRequest = MessageInitShape<typeof pb.SubscribeConfigurationRequestSchema>;
type DaprRequest = MessageInitShape<typeof dapr.SubscribeConfigurationRequestSchema>;

/** A stream of subscriptions, and what came on it. */
export class Subscription<Request, Response> {
  readonly received: Response[] = [];
  /** How it ended; undefined: it has not. */
  ended: { code: number; details: string } | undefined;

  constructor(
    private readonly client: Client,
    private readonly stream: ClientDuplexStream<Request, Response>,
  ) {
    stream.on('data', (response: Response) => this.received.push(response));
    stream.on('error', ({ code, details }: ServiceError) => (this.ended = { code, details }));
    stream.on('end', () => (this.ended ??= { code: 0, details: '' }));
  }

  send(request: Request): void {
    this.stream.write(request);
  }

  /** Says that no more subscriptions come. */
  finish(): void {
    this.stream.end();
  }

  /** Stops reading; what comes waits. */
  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  close(): void {
    this.stream.cancel();
    this.client.close();
  }
}

/** A stream of Layotto's. @param port of the runtime */
export function subscribeLayotto(
  port: number,
  ...requests: LayottoRequest[]
): Subscription<LayottoRequest, pb.SubscribeConfigurationResponse> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    LAYOTTO,
    (request: LayottoRequest) =>
      Buffer.from(
        toBinary(
          pb.SubscribeConfigurationRequestSchema,
          create(pb.SubscribeConfigurationRequestSchema, request),
        ),
      ),
    (bytes: Buffer) => fromBinary(pb.SubscribeConfigurationResponseSchema, bytes),
  );
  const subscription = new Subscription(client, stream);
  for (const request of requests) subscription.send(request);
  return subscription;
}

/** A stream of Dapr's. */
export function subscribeDapr(
  port: number,
  request: DaprRequest,
  path = DAPR,
): Subscription<DaprRequest, dapr.SubscribeConfigurationResponse> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    path,
    (message: DaprRequest) =>
      Buffer.from(
        toBinary(
          dapr.SubscribeConfigurationRequestSchema,
          create(dapr.SubscribeConfigurationRequestSchema, message),
        ),
      ),
    (bytes: Buffer) => fromBinary(dapr.SubscribeConfigurationResponseSchema, bytes),
  );
  const subscription = new Subscription(client, stream);
  subscription.send(request);
  subscription.finish();
  return subscription;
}
