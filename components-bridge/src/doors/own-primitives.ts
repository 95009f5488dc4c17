import { Code, OperationError } from '../primitives/errors.js';
import { componentNamed } from '../primitives/external/component.js';
import type { ExternalService } from '../primitives/external/service.js';
import type { Admit, Step, UnaryMethod } from './method.js';
import { NOT_PROTOBUF, read } from './method.js';

/**
 * The method of a primitive that is not the runtime's own, as the door of its own service.
 *
 * @param path `/package.Service/Method`
 * @param services those that there are now
 * @returns undefined if none of them has it
 */
export function ownMethod(path: string, services: readonly ExternalService[]): UnaryMethod | undefined {
  const [, service, name = ''] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const found = services.find((one) => one.name === service);
  if (found?.own.operations.some((operation) => operation.name === name) !== true) return undefined;
  const { primitive } = found;
  return { kind: 'unary', path, primitive, start: (payload, _, admit) => start(found, name, payload, admit) };
}

/** Who may call, and about what, is asked first; the rest the service says itself, as it does to the filter. */
function start(service: ExternalService, name: string, payload: Uint8Array, admit: Admit): Step {
  let known: ReturnType<ExternalService['method']>;
  try {
    known = service.method(name);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return { refused: { code: error.code, message: error.message } };
  }
  const message = known && read(known.method.input, payload);
  if (known === undefined || message === undefined)
    return { refused: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF } };
  const denied = admit(componentNamed(message, known.method.input, known.component));
  if (denied !== undefined) return { refused: denied };
  return {
    operation: `${service.name}/${name}`,
    payload,
    onResult: (answer) => ({ message: answer }),
    onFailure: (failure) => failure,
  };
}
