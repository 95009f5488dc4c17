import type { ConnectionInjector, Server as GrpcServer } from '@grpc/grpc-js';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Logger } from 'pino';

import type { Policy } from '../policy/policy.js';
import { Code, OperationError, reasonOf } from '../primitives/errors.js';
import type { Service } from '../primitives/handler.js';
import type { StreamHandler } from '../primitives/stream.js';
import type { AppShare } from './app-share.js';
import type { CallWatch } from './calls.js';
import { ServedStream } from './served-stream.js';
import { listenOnSocket } from './socket.js';
import type { OwnSocket, SocketAccess } from './socket.js';

/** What a message may have beside the data that is as long as messages may be. */
const MESSAGE_SLACK = 64 * 1024;

/** How long the status of streams that are ended may take to leave. */
const LAST_STATUS_MS = 500;

export interface StreamServerOptions extends SocketAccess {
  socketPath: string;
  services: readonly Service[];
  policy: Policy;
  /** The app that the filter is beside. */
  appId: string;
  limits: { messageBytes: number; streams: number };
  log: Logger;
  calls: CallWatch;
  /** The app that the socket belongs to, if the bridge serves others too: `limits.streams` is for all its connections. */
  share?: AppShare | undefined;
}

interface Grpc {
  server: GrpcServer;
  injector: ConnectionInjector;
}

/** How many streams of one method ended with which code. */
export interface EndedStreams {
  method: string;
  code: Code | 0;
  count: number;
}

/** Serves streaming methods as gRPC on a Unix socket. grpc-js is loaded with the first connection. */
export class StreamServer {
  readonly #net: Server;
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<ServedStream>();
  readonly #handlers: ReadonlyMap<string, StreamHandler>;
  readonly #leaving = new AbortController();
  readonly #ended = new Map<string, EndedStreams>();
  #grpc: Promise<Grpc> | undefined;
  #socket: OwnSocket | undefined;
  #onIdle: () => void = () => undefined;

  constructor(private readonly options: StreamServerOptions) {
    this.#handlers = new Map(options.services.flatMap(({ streams }) => [...(streams ?? [])]));
    this.#net = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
    options.policy.onChange(() => {
      for (const stream of this.#streams) stream.recheck();
    });
    const { share } = options;
    if (share !== undefined) this.#net.maxConnections = share.limits.sessions;
  }

  /** How many streams are open. */
  get open(): number {
    return this.#streams.size;
  }

  /** What became of those that are over. */
  get ended(): Iterable<EndedStreams> {
    return this.#ended.values();
  }

  /**
   * @param replace take the place of a process that answers on the socket, whose streams it leaves alone
   * @throws SocketInUseError if another process answers on the socket and is not to be replaced
   */
  async start(replace = false): Promise<void> {
    const { socketPath, gid } = this.options;
    this.#socket = await listenOnSocket(this.#net, socketPath, { gid, replace });
  }

  /**
   * Takes no new streams, asks those that would not end by themselves to do so, and waits until all have, `graceMs` at
   * most; what is left is told that the bridge goes.
   */
  async drain(graceMs: number): Promise<void> {
    this.#stopListening();
    const grpc = await this.#grpc?.catch(() => undefined);
    // GOAWAY: the next stream dials, and finds whoever listens then.
    grpc?.injector.drain(graceMs + LAST_STATUS_MS);
    this.#leaving.abort();
    if (!(await this.#idle(graceMs))) {
      for (const stream of this.#streams) {
        stream.end(new OperationError(Code.UNAVAILABLE, 'the bridge is shutting down; call again'));
      }
    }
    await this.#closed(LAST_STATUS_MS);
    await this.close();
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#stopListening();
    const gone = new OperationError(Code.UNAVAILABLE, 'the bridge is shutting down');
    for (const stream of this.#streams) stream.end(gone);
    for (const socket of this.#sockets) socket.destroy();
    const grpc = await this.#grpc?.catch(() => undefined);
    grpc?.injector.destroy();
    grpc?.server.forceShutdown();
  }

  #stopListening(): void {
    this.#socket?.remove();
    if (this.#net.listening) this.#net.close();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', (error) => this.options.log.debug({ reason: reasonOf(error) }, 'connection lost'));
    socket.on('close', () => this.#sockets.delete(socket));
    this.#grpc ??= this.#load();
    this.#grpc.then(
      ({ injector }) => {
        injector.injectConnection(socket);
        socket.resume();
      },
      (error: unknown) => {
        this.options.log.error({ err: error }, 'streams cannot be served');
        socket.destroy();
      },
    );
  }

  async #load(): Promise<Grpc> {
    const { Server, ServerCredentials, ServerInterceptingCall } = await import('./grpc-server.js');
    const { limits, calls: watch, policy, appId } = this.options;
    const server = new Server({
      'grpc.max_receive_message_length': limits.messageBytes + MESSAGE_SLACK,
      'grpc.max_send_message_length': limits.messageBytes + MESSAGE_SLACK,
      'grpc.max_concurrent_streams': limits.streams,
      // Its statistics are for a debugging service that is not served here.
      'grpc.enable_channelz': 0,
      interceptors: [
        ({ path }, call) => {
          const handler = this.#handlers.get(path) as StreamHandler;
          const stream = new ServedStream(call, {
            path,
            policy,
            appId,
            handler: this.#mayOpen() ? handler : tooMany,
            messageBytes: limits.messageBytes + MESSAGE_SLACK,
            leaving: this.#leaving.signal,
            watch,
            onEnd: (over, code) => this.#over(over, path, code),
          });
          this.#streams.add(stream);
          return new ServerInterceptingCall(call, { start: (next) => next(stream.listener) });
        },
      ],
    });
    for (const path of this.#handlers.keys()) server.register(path, never, bytes, bytes, 'bidi');
    return { server, injector: server.createConnectionInjector(ServerCredentials.createInsecure()) };
  }

  #mayOpen(): boolean {
    const { share, limits } = this.options;
    if (share === undefined || this.#streams.size < limits.streams) return true;
    share.refused('streams');
    return false;
  }

  #over(stream: ServedStream, path: string, code: Code | 0): void {
    this.#streams.delete(stream);
    const method = path.slice(1);
    const key = `${method} ${code}`;
    const known = this.#ended.get(key) ?? { method, code, count: 0 };
    known.count++;
    this.#ended.set(key, known);
    if (this.#streams.size === 0) this.#onIdle();
  }

  /** Resolves with true when no stream is open, with false after `graceMs`. */
  #idle(graceMs: number): Promise<boolean> {
    if (this.#streams.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), graceMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Resolves when every connection is closed; after `limitMs` at the latest. */
  async #closed(limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    while (this.#sockets.size > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, limitMs / 20));
    }
  }
}

/** Messages go in and out as they are; grpc-js wants them as buffers. */
function bytes({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** Stands for a method at grpc-js; see `ServedStream.listener`. */
function never(): void {}

/** Answers streams past an app's limit. */
const tooMany: StreamHandler = async () => {
  throw new OperationError(
    Code.RESOURCE_EXHAUSTED,
    'the app has as many streams open on this node as it may have',
  );
};
