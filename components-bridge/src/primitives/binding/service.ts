import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/binding_pb.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { BindingError } from './binding.js';
import type { BindingErrorKind, OutputBinding } from './binding.js';

export interface BindingServiceOptions {
  registry: ComponentRegistry;
  /** Counts what bindings are asked; by default for nobody. */
  backends?: Backends;
  /** Largest message. */
  messageBytes: number;
}

/** What an operation that a binding does not have is counted as. */
const OTHER = 'other';

const CODES: Readonly<Record<BindingErrorKind, Code>> = {
  failed: Code.INTERNAL,
  'too-large': Code.RESOURCE_EXHAUSTED,
  deadline: Code.DEADLINE_EXCEEDED,
};

/** The output binding primitive. */
export class BindingService implements Service {
  readonly name = pb.Binding.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;

  constructor(private readonly options: BindingServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/InvokeBinding`, (payload, call) => this.#invoke(payload, call)],
    ]);
  }

  async #invoke(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.InvokeBindingRequestSchema, payload);
    const slot = this.options.registry.find('binding', request.name);
    if (slot === undefined) {
      const message = `couldn't find output binding ${request.name}`;
      throw this.#backends.unknown(OTHER, new OperationError(Code.INTERNAL, message));
    }
    const { traceparent, deadline } = call;
    const invocation = {
      operation: request.operation,
      data: request.data,
      metadata: new Map(Object.entries(request.metadata)),
      traceparent,
      deadline,
      maxBytes: this.options.messageBytes,
    };
    const perform = async (binding: OutputBinding): Promise<pb.InvokeBindingResponse> => {
      checkOperation(binding, request.name, request.operation);
      return create(pb.InvokeBindingResponseSchema, await binding.invoke(invocation));
    };
    const label = labelOf(slot, request.operation);
    const response = await slot.use(() => this.#backends.ask(call, slot, label, perform, WORDING));
    return toBinary(pb.InvokeBindingResponseSchema, response);
  }
}

/** Operations are labels of metrics only if the binding has them: else callers could make up series. */
function labelOf(slot: ComponentSlot, operation: string): string {
  const binding = slot.instance as OutputBinding | undefined;
  return binding?.operations.includes(operation) === true ? operation : OTHER;
}

/** @throws OperationError if the binding has no such operation, in the words of both APIs */
function checkOperation({ operations }: OutputBinding, name: string, operation: string): void {
  if (operations.includes(operation)) return;
  const known = operations.join(' ');
  const message = `binding ${name} does not support operation ${operation}. supported operations:${known}`;
  throw new OperationError(Code.INTERNAL, message);
}

/** How the bindings' failures are told to the filter. */
const WORDING: Wording = {
  notReady: ({ config, reason }) =>
    new OperationError(Code.UNAVAILABLE, `output binding ${config.name} is not ready: ${reason}`),
  failure: (error) =>
    error instanceof BindingError ? new OperationError(CODES[error.kind], error.message) : error,
};
