import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import { External } from '../../gen/layotto/bridge/v1/external_pb.js';
import type { ComponentContext } from '../../primitives/component.js';
import { Code, OperationError, reasonOf } from '../../primitives/errors.js';
import type { ExternalComponent, ExternalSettings } from '../../primitives/external/component.js';
import { readMethods } from '../../primitives/external/methods.js';
import { failureOf } from '../../primitives/external/service.js';

/** Version of the contract in proto/layotto/bridge/v1/external.proto. */
const PROTOCOL = 1;
/** How long it may take to say what it serves. */
const DESCRIBE_MS = 2_000;
/** Pause between two times that it is asked. */
const LOOK_MS = 500;
/** What a message of the contract has beside the payload. */
const SLACK = 64 * 1024;
/** gRPC's shortest and longest pause between two tries to connect. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/** For callers that never give up. */
const LONGEST_CALL_MS = 3_600_000;

/**
 * Connects to the process that serves a primitive on a Unix socket. While it does not answer, or is another one than it
 * should be, calls fail at once with the reason.
 *
 * @throws Error that says why it cannot serve
 */
export async function open(
  { own, messageBytes }: ExternalSettings,
  context: ComponentContext,
): Promise<ExternalComponent> {
  const wanted = readMethods(own);
  const { name, appId, metadata } = context;
  const client = new Client(`unix:${own.socket ?? ''}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': messageBytes + SLACK,
    'grpc.max_send_message_length': messageBytes + SLACK,
    'grpc.initial_reconnect_backoff_ms': FIRST_PAUSE_MS,
    'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE_MS,
    // Each component its own: what one process does to its connection is no matter of another.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  });
  const look = async (): Promise<void> => {
    const told = { protocol: PROTOCOL, component: name, metadata: { ...metadata }, appId };
    const said = await ask(client, External.method.describe, told, DESCRIBE_MS);
    if (said.protocol !== PROTOCOL)
      throw new Error(`it speaks protocol ${said.protocol}, this bridge ${PROTOCOL}`);
    if (said.service !== own.service)
      throw new Error(`it serves ${JSON.stringify(said.service.slice(0, 200))}, not ${own.service}`);
    const missing = [...wanted.keys()].filter((method) => !said.methods.includes(method));
    if (missing.length > 0) throw new Error(`it does not serve ${missing.join(', ')}`);
  };
  try {
    await look();
  } catch (error) {
    client.close();
    throw new Error(lost(own.socket, error), { cause: error });
  }
  return {
    probePauseMs: LOOK_MS,
    probe: async () => {
      try {
        await look();
        context.report('ready');
      } catch (error) {
        context.report('down', lost(own.socket, error));
        throw error;
      }
    },
    perform: async ({ method, payload }, call) => {
      const left = Math.min(LONGEST_CALL_MS, call.deadline - performance.now());
      const { app, spiffe } = call.caller;
      const about = { component: name, metadata: { ...metadata }, appId: app, spiffeId: spiffe };
      const request = { method: method.name, payload, ...about, traceparent: call.traceparent };
      try {
        return (await ask(client, External.method.perform, request, left)).payload;
      } catch (error) {
        const { code, details } = error as Partial<ServiceError>;
        throw (
          failureOf(code, details ?? reasonOf(error)) ??
          new OperationError(Code.INTERNAL, reasonOf(error).slice(0, 1024))
        );
      }
    },
    close: async () => client.close(),
  };
}

function lost(socket: string | undefined, error: unknown): string {
  const { details } = error as Partial<ServiceError>;
  return `the process on ${socket}: ${(details ?? reasonOf(error)).slice(0, 512)}`;
}

function ask<Method extends DescMethodUnary>(
  client: Client,
  { parent, name, input, output }: Method,
  message: MessageInitShape<Method['input']>,
  limitMs: number,
): Promise<MessageShape<Method['output']>> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<MessageInitShape<Method['input']>, MessageShape<Method['output']>>(
      `/${parent.typeName}/${name}`,
      (request) => Buffer.from(toBinary(input, create(input, request))),
      (bytes) => fromBinary(output, bytes) as MessageShape<Method['output']>,
      message,
      new Metadata(),
      { deadline: Date.now() + Math.max(0, limitMs) },
      (error, response) => {
        if (error !== null) reject(error);
        else if (response === undefined) reject(new Error('it sent no answer'));
        else resolve(response);
      },
    );
  });
}
