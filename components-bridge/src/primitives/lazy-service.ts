import type { Handler, Service } from './handler.js';
import type { StreamHandler } from './stream.js';

export interface LazyServiceOptions {
  /** As the service names itself. */
  name: string;
  /** Its methods, without its name. */
  methods: readonly string[];
  /** Paths of its streaming methods. */
  streams?: readonly string[];
  /** Imports and makes it. Called by the first call, and again if it failed. */
  load: () => Promise<Service>;
}

/**
 * A service that is loaded by its first call, or by `load` before: the code of primitives that nobody configured, and
 * what it needs, would be a good part of an idle bridge.
 */
export class LazyService implements Service {
  readonly name: string;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly streams: ReadonlyMap<string, StreamHandler>;
  #loaded: Service | undefined;
  #loading: Promise<Service> | undefined;

  constructor(private readonly options: LazyServiceOptions) {
    const { name, methods, streams = [] } = options;
    this.name = name;
    this.handlers = new Map(
      methods.map((method) => [`${name}/${method}`, this.#handler(`${name}/${method}`)]),
    );
    this.streams = new Map(streams.map((path) => [path, this.#stream(path)]));
  }

  /** Resolves with the service itself. */
  async load(): Promise<Service> {
    this.#loading ??= this.options.load();
    try {
      this.#loaded = await this.#loading;
      return this.#loaded;
    } catch (error) {
      this.#loading = undefined;
      throw error;
    }
  }

  #handler(method: string): Handler {
    let handler: Handler | undefined;
    return (payload, call) => {
      handler ??= this.#loaded?.handlers.get(method);
      if (handler !== undefined) return handler(payload, call);
      // The bytes are only lent.
      const kept = Uint8Array.from(payload);
      return this.load().then((service) => (service.handlers.get(method) as Handler)(kept, call));
    };
  }

  #stream(path: string): StreamHandler {
    return async (stream) => {
      const { streams } = this.#loaded ?? (await this.load());
      await (streams?.get(path) as StreamHandler)(stream);
    };
  }
}
