import type { IncomingHttpHeaders } from 'node:http2';

import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

import type { ComponentConfig } from '../config/types.js';
import { Code } from '../primitives/errors.js';
import type { StreamHandler } from '../primitives/stream.js';
import type { Refused } from './refused.js';
import { isMessage } from './strict.js';

/** What the doors know of the runtime behind them. */
export interface Behind {
  /** The component of that name, if one is configured. */
  find(primitive: string, name: string): ComponentConfig | undefined;
  /** Whether any component of the primitive is configured. */
  serves(primitive: string): boolean;
  /** Whether a component's type has a capability, such as `TRANSACTIONAL`. */
  can(component: ComponentConfig, capability: string): boolean;
}

/** An answer: a message, headers before it, and trailers beside its status. */
export interface Answer {
  message: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  trailers?: Readonly<Record<string, string>>;
}

/** Why an operation failed. */
export interface Failure {
  code: Code;
  message: string;
}

/** What becomes of a request: it is answered, refused, or an operation is asked for. */
export type Step =
  | { answer: Answer }
  | { refused: Refused }
  | {
      /** Canonical operation, such as `layotto.bridge.v1.State/GetState`. */
      operation: string;
      /** The operation's request message. */
      payload: Uint8Array;
      /** Turns the operation's response message into the answer. */
      onResult(payload: Uint8Array): Answer | Refused;
      onFailure(failure: Failure): Refused;
    };

/** A method with one message each way. */
export interface UnaryMethod {
  kind: 'unary';
  /** As callers know it: `/package.Service/Method`. */
  path: string;
  primitive: string;
  /** Checks a request. Nothing is kept from one to the next. @param head the call's headers */
  start(payload: Uint8Array, behind: Behind, admit: Admit, head: IncomingHttpHeaders): Step;
}

/**
 * Asks whether a call may be about this; every method asks before it looks whether there is such a component.
 *
 * @param component empty: none
 * @param name of the secret or topic that is asked for, if it is one
 */
export type Admit = (component: string, name?: string) => Refused | undefined;

/** A method whose calls are streams. */
export interface StreamMethod {
  kind: 'stream';
  path: string;
  primitive: string;
  /** How a call is refused while no component of the primitive is configured; absent: it needs none. */
  unserved?: Refused;
  /** Serves a call; absent: the primitive's own handler of that path does. */
  handler?: StreamHandler;
  /** A stream on which the caller sends nothing for so long is ended; absent: it may last. */
  idleMs?: number;
}

export type Method = UnaryMethod | StreamMethod;

export const NOT_PROTOBUF = 'the request message is not valid protobuf';
export const UNREADABLE = 'the components bridge sent an answer that cannot be read';

/** A method that asks for one operation. */
export interface Forwarded<Desc extends DescMessage> {
  path: string;
  primitive: string;
  operation: string;
  request: Desc;
  /** Why the request is none, for bytes that are not valid protobuf. */
  malformed: Refused;
  /** Name of the component that the request is about; undefined if it names none. */
  component(request: MessageShape<Desc>): string | undefined;
  /** Name of the secret or topic that it asks for, if it asks for one. */
  subject?(request: MessageShape<Desc>): string | undefined;
  /** How it is told that what stands with the component denies it; by default as what the policy denies. */
  denied?(refused: Refused, request: MessageShape<Desc>): Refused;
  /** The first thing wrong with a request, or an answer that needs no operation. */
  check(request: MessageShape<Desc>, behind: Behind): Refused | Answer | undefined;
  /** The operation's message; by default the caller's own bytes, which are the same. */
  build?(request: MessageShape<Desc>, payload: Uint8Array, head: IncomingHttpHeaders): Uint8Array;
  /** The answer to an operation's message; by default that message. */
  answer?(payload: Uint8Array, request: MessageShape<Desc>, behind: Behind): Answer | Refused;
  failed(failure: Failure, request: MessageShape<Desc>): Refused;
}

/** A method that is checked, and performed by the bridge's operation. */
export function forwarded<Desc extends DescMessage>(of: Forwarded<Desc>): UnaryMethod {
  const start = (payload: Uint8Array, behind: Behind, admit: Admit, head: IncomingHttpHeaders): Step => {
    const request = read(of.request, payload);
    if (request === undefined) return { refused: of.malformed };
    const component = of.component(request);
    const denied = component === undefined ? undefined : admit(component, of.subject?.(request));
    if (denied !== undefined) {
      return { refused: denied.ofComponent === true ? (of.denied?.(denied, request) ?? denied) : denied };
    }
    const first = of.check(request, behind);
    if (first !== undefined) return 'code' in first ? { refused: first } : { answer: first };
    // What is wrong with a request that names no component, it is told first.
    const refused = component === undefined ? admit('') : undefined;
    if (refused !== undefined) return { refused };
    return {
      operation: of.operation,
      payload: of.build?.(request, payload, head) ?? payload,
      onResult: (result) => answered(of, result, request, behind),
      onFailure: (failure) => of.failed(failure, request),
    };
  };
  return { kind: 'unary', path: of.path, primitive: of.primitive, start };
}

function answered<Desc extends DescMessage>(
  of: Forwarded<Desc>,
  result: Uint8Array,
  request: MessageShape<Desc>,
  behind: Behind,
): Answer | Refused {
  if (of.answer === undefined) return { message: result };
  try {
    return of.answer(result, request, behind);
  } catch {
    return of.failed({ code: Code.INTERNAL, message: UNREADABLE }, request);
  }
}

/** A message, or undefined if the bytes are none. */
export function read<Desc extends DescMessage>(
  schema: Desc,
  payload: Uint8Array,
): MessageShape<Desc> | undefined {
  if (!isMessage(schema, payload)) return undefined;
  try {
    return fromBinary(schema, payload);
  } catch {
    return undefined;
  }
}

/** What a method is called in policies and metrics, the same behind every door. */
export function operationOf({ path }: Method): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/Alpha1$/, '');
}

/** Services of the APIs, as paths begin. */
export const LAYOTTO = '/spec.proto.runtime.v1.Runtime/';
export const DAPR = '/dapr.proto.runtime.v1.Dapr/';
