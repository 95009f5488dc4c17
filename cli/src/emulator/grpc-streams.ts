import { Status } from './abi.js';
import type { ModuleMemory } from './memory.js';

/** A gRPC stream the module opened. */
export interface OpenedGrpcStream {
  token: number;
  root: number;
  target: string;
  service: string;
  method: string;
  /** Messages as sent; those sent after the other side closed are counted but not kept. */
  sent: Buffer[];
  sentBytes: number;
  /** The module ended its side. */
  localClosed: boolean;
  /** `proxy_on_grpc_close` was called. */
  remoteClosed: boolean;
}

/** The host's side of `proxy_grpc_stream` and what follows from it. */
export class GrpcStreams {
  readonly open = new Map<number, OpenedGrpcStream>();
  /** While not Ok, opening fails with it. */
  openStatus: number = Status.Ok;
  /** True while a plugin is being configured: its thread cannot open streams yet. */
  configuring = false;
  private nextToken = 2;

  constructor(
    private readonly memory: ModuleMemory,
    private readonly root: () => number,
  ) {}

  /** The stream, or an error that names the token. */
  get(token: number): OpenedGrpcStream {
    const stream = this.open.get(token);
    if (stream === undefined) throw new Error(`no gRPC stream with token ${token}`);
    return stream;
  }

  calls(): Record<string, (...args: number[]) => number> {
    return {
      proxy_grpc_stream: (...args) => this.start(args),
      proxy_grpc_send: (token = 0, ptr = 0, size = 0, end = 0) => {
        const stream = this.open.get(token);
        if (stream === undefined) return Status.NotFound;
        stream.sentBytes += size;
        // Envoy says Ok on a broken stream too, until the module closes it.
        if (!stream.remoteClosed) stream.sent.push(this.memory.read(ptr, size));
        if (end !== 0) stream.localClosed = true;
        return Status.Ok;
      },
      proxy_grpc_close: (token = 0) => this.end(token, false),
      proxy_grpc_cancel: (token = 0) => this.end(token, true),
    };
  }

  private start(args: number[]): number {
    const [target = 0, targetSize = 0, service = 0, serviceSize = 0, method = 0, methodSize = 0] = args;
    if (this.configuring) return Status.InternalFailure;
    if (this.openStatus !== Status.Ok) return this.openStatus;
    const token = this.nextToken;
    this.nextToken += 4;
    this.open.set(token, {
      token,
      root: this.root(),
      target: this.memory.text(target, targetSize),
      service: this.memory.text(service, serviceSize),
      method: this.memory.text(method, methodSize),
      sent: [],
      sentBytes: 0,
      localClosed: false,
      remoteClosed: false,
    });
    this.memory.word(args[8] ?? 0, token);
    return Status.Ok;
  }

  private end(token: number, cancel: boolean): number {
    const stream = this.open.get(token);
    if (stream === undefined) return Status.NotFound;
    stream.localClosed = true;
    if (cancel || stream.remoteClosed) this.open.delete(token);
    return Status.Ok;
  }
}
