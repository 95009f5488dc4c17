import { fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import { openApiPartOf } from '../../config/own-primitive.js';
import type { OpenApiPart } from '../../config/own-primitive.js';
import type { ComponentConfig, OwnPrimitive } from '../../config/types.js';
import type { Backends, Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError, reasonOf } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import { componentNamed } from './component.js';
import type { ExternalComponent } from './component.js';
import { readMethods } from './methods.js';

export interface ExternalServiceOptions {
  registry: ComponentRegistry;
  backends: Backends;
  /** Largest message; also of an answer as JSON. */
  messageBytes: number;
  /** How long a call may take that says nothing of it itself. */
  deadlineMs: number;
  log: Logger;
}

/** Longest text of a failure that is handed on, in characters. */
const LONGEST_REASON = 1024;

/** What the JSON door calls a method; see `Fitness` in the filter. */
const JSON_SERVICE = 'layotto.bridge.v1.Json';

/** A primitive that the bridge was not built with: every method is checked, and handed to the component it names. */
export class ExternalService implements Service {
  readonly name: string;
  readonly handlers: ReadonlyMap<string, Handler>;
  #methods: Map<string, DescMethodUnary> | undefined;

  constructor(
    readonly primitive: string,
    readonly own: OwnPrimitive,
    private readonly options: ExternalServiceOptions,
  ) {
    this.name = own.service;
    this.handlers = new Map(
      own.operations.flatMap(({ name, component }): [string, Handler][] => [
        [`${own.service}/${name}`, async (payload, call) => this.#perform(name, component, payload, call)],
        [
          `${JSON_SERVICE}/${own.service}.${name}`,
          async (payload, call) => this.#performJson(name, component, payload, call),
        ],
      ]),
    );
  }

  /**
   * A method's messages, and the field of its request that names the component; undefined if there is no such method.
   *
   * @throws OperationError as a call of it would
   */
  method(name: string): { method: DescMethodUnary; component: string } | undefined {
    const operation = this.own.operations.find((one) => one.name === name);
    return operation && { method: this.#method(name), component: operation.component };
  }

  async #perform(name: string, field: string, payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const method = this.#method(name);
    const bytes = payload.slice();
    const message = decode(method.input, bytes);
    const component = componentNamed(message, method.input, field);
    const { registry, backends } = this.options;
    const slot = registry.find(this.primitive, component);
    if (slot === undefined) {
      const text = `there is no ${this.primitive} component ${JSON.stringify(component.slice(0, 200))}`;
      throw backends.unknown(name, new OperationError(Code.INVALID_ARGUMENT, text));
    }
    const perform = (backend: ExternalComponent): Promise<Uint8Array> =>
      this.#inTime(backend.perform({ method, payload: bytes, message }, call), call);
    const answer = await slot.use(() => backends.ask(call, slot, name, perform, this.#wording));
    // Whatever is behind it, callers get no other message than the method's.
    try {
      fromBinary(method.output, answer);
    } catch (error) {
      throw new OperationError(
        Code.INTERNAL,
        `${component} answered no ${method.output.name}: ${reasonOf(error)}`,
      );
    }
    return answer;
  }

  async #performJson(name: string, field: string, payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { input, output } = this.#method(name);
    let request: Uint8Array;
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
      request = toBinary(input, fromJsonString(input, text));
    } catch (error) {
      throw new OperationError(Code.INVALID_ARGUMENT, reasonOf(error));
    }
    const answer = fromBinary(output, await this.#perform(name, field, request, call));
    const json = Buffer.from(toJsonString(output, answer), 'utf8');
    const { messageBytes } = this.options;
    if (json.length <= messageBytes) return json;
    const message = `the answer has ${json.length} bytes as JSON; limits.message is ${messageBytes} bytes`;
    throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
  }

  /** @throws OperationError if what describes it is gone or was changed since it was configured */
  #method(name: string): DescMethodUnary {
    try {
      this.#methods ??= readMethods(this.own);
    } catch (error) {
      throw new OperationError(Code.INTERNAL, reasonOf(error), { cause: error });
    }
    return this.#methods.get(name) as DescMethodUnary;
  }

  /** What never answers holds its call, and the room that it takes, no longer than the caller waits. */
  async #inTime(answer: Promise<Uint8Array>, call: Call): Promise<Uint8Array> {
    const { deadlineMs } = this.options;
    const left = Math.min(deadlineMs, call.deadline - performance.now());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const tell = (): void =>
        reject(new OperationError(Code.DEADLINE_EXCEEDED, 'it did not answer in time'));
      timer = setTimeout(tell, Math.max(0, left));
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  readonly #wording: Wording = {
    notReady: ({ config, reason }) =>
      new OperationError(Code.UNAVAILABLE, `${this.primitive} ${config.name} is not ready: ${reason}`),
    failure: (error, { config }) => {
      if (error instanceof OperationError) return error;
      this.options.log.error({ component: config.name, err: error }, 'an operation failed unexpectedly');
      return new OperationError(Code.INTERNAL, reasonOf(error).slice(0, LONGEST_REASON), { cause: error });
    },
  };
}

/** The services of such primitives: they come and go with their components. */
export class ExternalServices {
  #services: readonly ExternalService[] = [];

  constructor(private readonly options: ExternalServiceOptions) {}

  get all(): readonly ExternalService[] {
    return this.#services;
  }

  /** What they add to the document that describes the HTTP doors. */
  openApi(): OpenApiPart[] {
    return this.#services.flatMap(({ own }) => openApiPartOf(own.folder) ?? []);
  }

  /** Serves the primitives of these components, and no others. */
  use(components: readonly ComponentConfig[]): void {
    const services = new Map<string, ExternalService>();
    // Of components that were changed the later one counts: it is the one that is asked for.
    for (const { primitive, own } of components) {
      if (own === undefined) continue;
      const known = this.#services.find(
        (one) => one.primitive === primitive && one.own.digest === own.digest,
      );
      services.set(primitive, known ?? new ExternalService(primitive, own, this.options));
    }
    this.#services = [...services.values()];
  }
}

/** A failure as a component of such a primitive says it. @param code a name of google.rpc.Code, or its number */
export function failureOf(code: unknown, reason: string): OperationError | undefined {
  const known = typeof code === 'string' ? (Code as unknown as Record<string, unknown>)[code] : code;
  if (typeof known !== 'number' || Code[known] === undefined) return undefined;
  return new OperationError(known, reason.slice(0, LONGEST_REASON));
}
