import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/hello_pb.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { Greeter } from './greeter.js';

export interface HelloServiceOptions {
  registry: ComponentRegistry;
  /** Counts what greeters are asked; by default for nobody. */
  backends?: Backends;
}

/** The hello primitive. */
export class HelloService implements Service {
  readonly name = pb.Hellos.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;

  constructor(private readonly options: HelloServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/SayHello`, (payload, call) => this.#sayHello(payload, call)],
    ]);
  }

  async #sayHello(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { serviceName, name, data } = decode(pb.SayHelloRequestSchema, payload);
    const slot = this.options.registry.find('hello', serviceName);
    if (slot === undefined) {
      const failure = new OperationError(Code.INVALID_ARGUMENT, 'no instance found');
      throw this.#backends.unknown('greet', failure);
    }
    const greet = (greeter: Greeter): Promise<string> => greeter.greet(name);
    const hello = await slot.use(() => this.#backends.ask(call, slot, 'greet', greet, WORDING));
    return toBinary(pb.SayHelloResponseSchema, create(pb.SayHelloResponseSchema, { hello, data }));
  }
}

/** How failures are told to the filter; a greeter itself cannot fail. */
const WORDING: Wording = {
  notReady: ({ config, reason }) =>
    new OperationError(Code.UNAVAILABLE, `hello ${config.name} is not ready: ${reason}`),
  failure: (error) => error,
};
