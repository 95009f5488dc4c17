// The contexts a module implements: one RootContext per plugin configuration,
// one HttpContext per stream, one GrpcStream per stream it opens itself.

import {
  proxy_grpc_cancel,
  proxy_grpc_close,
  proxy_grpc_send,
  proxy_grpc_stream,
  proxy_set_effective_context,
  proxy_set_tick_period_milliseconds,
} from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { Action, Buffer } from './enums';
import { beforeTrap } from './log';
import { OUT } from './memory';
import { Status } from './status';
import { StreamTable } from './stream-table';
import { getBuffer } from './stream';

/**
 * One per plugin configuration and VM. A new configuration makes a new root
 * context in the same VM while the old one's streams finish, so everything
 * that lasts longer than a stream belongs here and not in module variables.
 */
export abstract class RootContext {
  constructor(public readonly id: u32) {}

  /** The plugin configuration's bytes (the caller releases them). Valid inside `onConfigure`. */
  readConfiguration(size: u32): Bytes {
    return getBuffer(Buffer.PluginConfiguration, 0, size);
  }

  /** Checks and takes the configuration. False makes Envoy refuse it and keep the last good one. */
  abstract onConfigure(size: u32): bool;

  /** Runs every `setTickPeriod` milliseconds. */
  onTick(): void {}

  /** Makes the context of a new stream. */
  abstract createHttpContext(id: u32): HttpContext;

  /** The configuration is being replaced and no stream uses it any more. */
  onDone(): void {}

  /** Milliseconds between ticks; 0 stops them. */
  setTickPeriod(milliseconds: u32): void {
    proxy_set_tick_period_milliseconds(milliseconds);
  }
}

type RootFactory = (id: u32) => RootContext;

let rootFactory: RootFactory = (id: u32): RootContext => unreachable();

/** Tells which root context a module has. Call it once, at the top level of the module's entry file. */
export function registerRoot(factory: RootFactory): void {
  rootFactory = factory;
}

/** For the dispatcher: makes the module's root context. */
export function createRoot(id: u32): RootContext {
  return rootFactory(id);
}

/**
 * One per HTTP stream. Callbacks run with this stream as the effective context. After `onDone` the object may serve
 * another stream: give it that one's id and return it from `createHttpContext` again.
 */
export abstract class HttpContext {
  constructor(public id: u32) {}

  /** @param endOfStream no body and no trailers follow */
  onRequestHeaders(count: u32, endOfStream: bool): Action {
    return Action.Continue;
  }

  /** @param size bytes buffered so far, if earlier callbacks paused; a request with trailers never gets endOfStream here */
  onRequestBody(size: u32, endOfStream: bool): Action {
    return Action.Continue;
  }

  onRequestTrailers(count: u32): Action {
    return Action.Continue;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    return Action.Continue;
  }

  onResponseBody(size: u32, endOfStream: bool): Action {
    return Action.Continue;
  }

  onResponseTrailers(count: u32): Action {
    return Action.Continue;
  }

  /** The stream ended: answered, reset by the client, or its connection was lost. No callback follows. */
  onDone(): void {}

  /**
   * The module ends by `trap`, or by an error of AssemblyScript's. A stream that waits for something else than the host
   * answers itself here, for example by `failStream`, or it waits until its deadline. It must not allocate.
   */
  onTrap(): void {}

  /**
   * Makes this stream the effective context, to touch it from a callback that
   * belongs to another one. False when the stream is gone.
   */
  activate(): bool {
    return proxy_set_effective_context(this.id) == Status.Ok;
  }
}

/** HTTP streams of this VM by id; the dispatcher routes their callbacks. */
export const httpStreams = new StreamTable();

/** The stream whose request a callback is about; 0: none. */
let underWay: u32 = 0;

/** For the dispatcher: a callback about a stream's request begins; with 0 it ends. */
export function enter(id: u32): void {
  underWay = id;
}

// The host itself answers the stream whose callback ends in a trap.
beforeTrap((): void => httpStreams.trapped(underWay));

/** From now on the callbacks of a stream go to another context, which has its id. */
export function handOver(to: HttpContext): void {
  httpStreams.set(to.id, to);
}

/** Streams of this VM by token; the dispatcher routes their callbacks. */
export const grpcStreams = new Map<u32, GrpcStream>();

/**
 * A bidirectional gRPC stream this module opens. Its callbacks run with the
 * root context effective. Opening inside `onConfigure` does not work: do it
 * from a tick.
 */
export abstract class GrpcStream {
  private token: u32 = 0;

  constructor(public readonly root: RootContext) {}

  /** Opened and not closed since. */
  get isOpen(): bool {
    return this.token != 0;
  }

  /**
   * Opens the stream.
   *
   * @param target cluster name, or a serialised envoy.config.core.v3.GrpcService
   * @param service full service name, for example "package.Service"
   */
  open(target: Bytes, service: Bytes, method: Bytes): Status {
    proxy_set_effective_context(this.root.id);
    store<u32>(OUT, 0);
    const status = proxy_grpc_stream(
      bytesPtr(target),
      bytesLength(target),
      bytesPtr(service),
      bytesLength(service),
      bytesPtr(method),
      bytesLength(method),
      0,
      0,
      OUT,
    );
    if (status == Status.Ok) {
      this.token = load<u32>(OUT);
      grpcStreams.set(this.token, this);
    }
    return <Status>status;
  }

  /**
   * Sends one message. The root context is effective afterwards: `activate`
   * the stream's own again before touching it. The host queues without bound
   * and always says Ok, so count what was sent.
   */
  send(message: Bytes): Status {
    if (this.token == 0) return Status.NotFound;
    proxy_set_effective_context(this.root.id);
    return <Status>proxy_grpc_send(this.token, bytesPtr(message), bytesLength(message), 0);
  }

  /** Ends the stream without waiting for the other side; no further callback comes. */
  reset(): void {
    if (this.token == 0) return;
    proxy_set_effective_context(this.root.id);
    proxy_grpc_cancel(this.token);
    this.forget();
  }

  /** One message of this many bytes came; read it with getBuffer(Buffer.GrpcReceive, …) inside this callback. */
  abstract onMessage(size: u32): void;

  /** The other side ended the stream, or it broke. @param status google.rpc.Code */
  abstract onClose(status: u32): void;

  /** For the dispatcher: the host closed the stream. */
  closed(status: u32): void {
    // Without this, sends on the old token would still be answered Ok.
    proxy_grpc_close(this.token);
    this.forget();
    this.onClose(status);
  }

  private forget(): void {
    grpcStreams.delete(this.token);
    this.token = 0;
  }
}
