import type { OpenApiPart } from '../../config/own-primitive.js';
import type { Call } from '../call.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { Topics } from '../pubsub/asyncapi.js';

export interface JsonServiceOptions {
  /** The services whose methods are there as JSON too. */
  services: readonly Service[];
  /** Largest message; also of an answer as JSON. */
  messageBytes: number;
  /** What primitives that are not the runtime's own add to the description of the HTTP doors, as it is now. */
  openApiParts: () => readonly OpenApiPart[];
  /** Describes the app's topics, as they are now. */
  topics: () => Topics;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The other services' methods with proto3 JSON as messages: `layotto.bridge.v1.Json/State.GetState` is
 * `layotto.bridge.v1.State/GetState`. Each is performed by the handler of that.
 */
export class JsonService implements Service {
  readonly name = 'layotto.bridge.v1.Json';
  readonly handlers: ReadonlyMap<string, Handler>;

  constructor(private readonly options: JsonServiceOptions) {
    const handlers = new Map<string, Handler>([
      [`${this.name}/OpenApi`, () => this.#openApi()],
      [`${this.name}/AsyncApi`, () => this.#asyncApi()],
    ]);
    for (const service of options.services) {
      for (const [method, handler] of service.handlers) {
        const name = `${this.name}/${method.slice(method.lastIndexOf('.') + 1).replace('/', '.')}`;
        handlers.set(name, (payload, call) => this.#call(name, handler, payload, call));
      }
    }
    this.handlers = handlers;
  }

  async #call(name: string, handler: Handler, payload: Uint8Array, call: Call): Promise<Uint8Array> {
    // Before anything is waited for: the bytes are only lent.
    const text = textOf(payload);
    const { transcoder } = await import('./transcoder.js');
    const messages = transcoder(name);
    return this.#bounded(messages.toJson(await handler(messages.toMessage(text), call)));
  }

  async #openApi(): Promise<Uint8Array> {
    const { OPENAPI } = await import('./gen/openapi.js');
    const parts = this.options.openApiParts();
    const text = parts.length === 0 ? OPENAPI : withParts(OPENAPI, parts);
    return this.#bounded(Buffer.from(text, 'utf8'));
  }

  async #asyncApi(): Promise<Uint8Array> {
    const { asyncApiDocument } = await import('../pubsub/asyncapi.js');
    const document = asyncApiDocument(this.options.topics());
    return this.#bounded(Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`, 'utf8'));
  }

  #bounded(json: Uint8Array): Uint8Array {
    const { messageBytes } = this.options;
    if (json.length <= messageBytes) return json;
    const message = `the answer has ${json.length} bytes as JSON; limits.message is ${messageBytes} bytes`;
    throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
  }
}

function withParts(text: string, parts: readonly OpenApiPart[]): string {
  const document = JSON.parse(text) as {
    tags: unknown[];
    paths: Record<string, unknown>;
    components: { schemas: Record<string, unknown> };
  };
  for (const { tag, paths, schemas } of parts) {
    document.tags.push(tag);
    Object.assign(document.paths, paths);
    Object.assign(document.components.schemas, schemas);
  }
  return JSON.stringify(document);
}

/** @throws OperationError if the bytes are not UTF-8 */
function textOf(payload: Uint8Array): string {
  try {
    return utf8.decode(payload);
  } catch {
    throw new OperationError(Code.INVALID_ARGUMENT, 'the request body is not UTF-8');
  }
}
