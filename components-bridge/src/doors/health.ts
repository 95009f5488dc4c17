import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../gen/grpc/health/v1/health_pb.js';
import { decode } from '../primitives/decode.js';
import { Code } from '../primitives/errors.js';
import type { MessageStream } from '../primitives/stream.js';
import { NOT_PROTOBUF, read } from './method.js';
import type { Method, Step } from './method.js';

const P = 'health';
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = pb.HealthCheckResponse_ServingStatus;

/** Of gRPC's health service, whose callers are probes and have no token. */
export const HEALTH = '/grpc.health.v1.Health/';

/**
 * gRPC's health protocol, for proxies that ask before they route: whoever can ask is served, unless the bridge is about
 * to end. Where components stand, calls to them say.
 *
 * @param services full names of the services that are served, such as `dapr.proto.runtime.v1.Dapr`
 */
export function healthMethods(services: ReadonlySet<string>): Method[] {
  const isKnown = (service: string): boolean => service === '' || services.has(service);
  return [
    {
      kind: 'unary',
      path: `${HEALTH}Check`,
      primitive: P,
      start: (payload): Step => {
        const request = read(pb.HealthCheckRequestSchema, payload);
        if (request === undefined) return { refused: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF } };
        if (isKnown(request.service)) return { answer: { message: response(SERVING) } };
        return { refused: { code: Code.NOT_FOUND, message: 'unknown service' } };
      },
    },
    {
      kind: 'stream',
      path: `${HEALTH}Watch`,
      primitive: P,
      handler: async (stream) => {
        const { service } = decode(pb.HealthCheckRequestSchema, (await stream.read()) ?? new Uint8Array(0));
        if (!isKnown(service)) await stream.send(response(SERVICE_UNKNOWN));
        else await stream.send(response(SERVING));
        await leaving(stream);
        if (isKnown(service)) await stream.send(response(NOT_SERVING));
      },
    },
  ];
}

function response(status: pb.HealthCheckResponse_ServingStatus): Uint8Array {
  return toBinary(pb.HealthCheckResponseSchema, create(pb.HealthCheckResponseSchema, { status }));
}

/** Resolves when the bridge is about to end. @throws the reason of the stream's signal */
async function leaving({ signal, leaving: left }: MessageStream): Promise<void> {
  if (left.aborted) return;
  await new Promise<void>((resolve, reject) => {
    left.addEventListener('abort', () => resolve(), { once: true, signal });
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
