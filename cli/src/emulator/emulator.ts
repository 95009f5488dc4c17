import { randomFillSync } from 'node:crypto';
import { BufferType, HeaderMap, MapType, Status } from './abi.js';
import { hostCalls, type CallTarget, type LogLine, type Metric } from './calls.js';
import { GrpcStreams, type OpenedGrpcStream } from './grpc-streams.js';
import { HttpCalls } from './http-calls.js';
import { HttpStream } from './http-stream.js';
import { ModuleMemory } from './memory.js';
import { wasi } from './wasi.js';

/**
 * A proxy-wasm 0.2.1 host in this process, for one VM on one thread. It behaves as Envoy does where the two could be told apart: local replies go out after the outermost call into the VM
 * has returned, each callback starts with its own context effective, and a gone stream cannot be made effective.
 */
export class HostEmulator implements CallTarget {
  readonly logs: LogLine[] = [];
  /** Lines of it that are kept. */
  mostLogs = Infinity;
  readonly metrics = new Map<number, Metric>();
  /** Give two hosts the same, and they are threads of one Envoy. */
  sharedData = new Map<string, { value: Buffer; cas: number }>();
  readonly properties = new Map<string, Buffer>();
  readonly streams = new Map<number, HttpStream>();
  readonly memory = new ModuleMemory(() => this.exports);
  readonly grpc = new GrpcStreams(this.memory, () => this.contextId);
  readonly http = new HttpCalls(this.memory, () => this.contextId);
  /** Nanoseconds of both clocks; `advance` moves it. */
  nowNs = 1_700_000_000_000_000_000n;
  /** How far it moves at each reading. */
  nsPerReading = 0n;
  /** The period the module set; 0 means no ticks. */
  tickMs = 0;

  private readonly exports: Record<string, unknown>;
  private readonly roots = new Map<number, Buffer>();
  private readonly pending: (() => void)[] = [];
  private depth = 0;
  private current = 0;
  private effective = 0;
  private grpcMessage: Buffer | undefined;
  private nextContext = 1;
  private sinceTick = 0;

  private constructor(module: WebAssembly.Module) {
    this.exports = new WebAssembly.Instance(module, {
      env: { ...hostCalls(this), ...this.grpc.calls(), ...this.http.calls(), abort: this.abort.bind(this) },
      wasi_snapshot_preview1: wasi({
        memory: () => this.memory.memory,
        nowNs: () => (this.nowNs += this.nsPerReading),
        random: (bytes) => randomFillSync(bytes),
        print: (message) => this.logs.push({ level: 'info', message }),
      }),
    }).exports;
  }

  /** A new VM with a module. Nothing has been called in it yet but its start function, if it has one. */
  static async load(module: Uint8Array | WebAssembly.Module): Promise<HostEmulator> {
    return new HostEmulator(module instanceof Uint8Array ? await WebAssembly.compile(module) : module);
  }

  /** Bytes of linear memory the VM has. */
  get memoryBytes(): number {
    return this.memory.memory.buffer.byteLength;
  }

  /** gRPC streams the module has opened and not closed. */
  get grpcStreams(): OpenedGrpcStream[] {
    return [...this.grpc.open.values()];
  }

  /** Starts the VM and makes one root context; `ok` is false if the module refuses either. */
  start(configuration: string | Uint8Array): { root: number; ok: boolean } {
    for (const entry of ['_initialize', '_start']) if (entry in this.exports) this.call(0, entry, []);
    const root = this.nextContext;
    const started = this.call(root, 'proxy_on_vm_start', [root, 0]) !== 0;
    const configured = this.addRoot(configuration);
    return { root: configured.root, ok: started && configured.ok };
  }

  /** Makes a further root context in the same VM, as a configuration push does. */
  addRoot(configuration: string | Uint8Array): { root: number; ok: boolean } {
    const root = this.nextContext++;
    const bytes = Buffer.from(configuration as Uint8Array);
    this.roots.set(root, bytes);
    this.call(root, 'proxy_on_context_create', [root, 0]);
    this.grpc.configuring = true;
    try {
      return { root, ok: this.call(root, 'proxy_on_configure', [root, bytes.length]) !== 0 };
    } finally {
      this.grpc.configuring = false;
    }
  }

  /** Ends a root context, as a configuration push does with the old one once its streams are gone. */
  removeRoot(root: number): void {
    this.call(root, 'proxy_on_done', [root], true);
    this.call(root, 'proxy_on_delete', [root]);
    this.roots.delete(root);
  }

  /** A new stream of a root context. */
  openStream(root: number): HttpStream {
    const id = this.nextContext++;
    const stream = new HttpStream(this, id);
    this.streams.set(id, stream);
    this.call(id, 'proxy_on_context_create', [id, root]);
    return stream;
  }

  /** One tick of a root context, without time passing. */
  tick(root: number): void {
    this.call(root, 'proxy_on_tick', [root]);
  }

  /** Lets time pass; ticks come at the period the module set. */
  advance(root: number, ms: number): void {
    for (let left = ms; left > 0;) {
      const step = this.tickMs === 0 ? left : Math.min(left, this.tickMs - this.sinceTick);
      this.nowNs += BigInt(Math.round(step * 1e6));
      this.sinceTick += step;
      left -= step;
      if (this.tickMs !== 0 && this.sinceTick >= this.tickMs) {
        this.sinceTick = 0;
        this.tick(root);
      }
    }
  }

  /** A message comes in on a stream the module opened. */
  callOnGrpcReceive(token: number, message: Uint8Array): void {
    const { root } = this.grpc.get(token);
    this.grpcMessage = Buffer.from(message);
    this.call(root, 'proxy_on_grpc_receive', [root, token, message.length]);
    this.grpcMessage = undefined;
  }

  /** The other side ends a stream the module opened, or it breaks. */
  callOnGrpcClose(token: number, status: number): void {
    const stream = this.grpc.get(token);
    const { root } = stream;
    stream.remoteClosed = true;
    this.call(root, 'proxy_on_grpc_receive_trailing_metadata', [root, token, 0], true);
    this.call(root, 'proxy_on_grpc_close', [root, token, status]);
    if (stream.localClosed) this.grpc.open.delete(token);
  }

  /** An HTTP request that the module sent is answered; without headers nobody has answered it. */
  callOnHttpCallResponse(token: number, headers: Record<string, string> = {}, body = ''): void {
    const { root } = this.http.take(token);
    const map = new HeaderMap(headers);
    this.http.answer = { headers: map, body: Buffer.from(body) };
    this.call(root, 'proxy_on_http_call_response', [root, token, map.size, this.http.answer.body.length, 0]);
    this.http.answer = undefined;
  }

  /** A counter's or gauge's value by name; undefined if it was never defined. */
  metric(name: string): number | undefined {
    for (const metric of this.metrics.values()) if (metric.name === name) return Number(metric.value);
    return undefined;
  }

  /** Runs `action` after the outermost call into the VM has returned. */
  afterCall(action: () => void): void {
    this.pending.push(action);
  }

  /** The stream of the effective context. */
  stream(): HttpStream | undefined {
    return this.streams.get(this.contextId);
  }

  map(type: number): HeaderMap | undefined {
    return type >= MapType.HttpCallResponseHeaders ? this.http.map(type) : this.stream()?.map(type);
  }

  buffer(type: number): Buffer | undefined {
    if (type === BufferType.HttpCallResponseBody) return this.http.buffer(type);
    if (type === BufferType.GrpcReceive) return this.grpcMessage;
    if (type === BufferType.PluginConfiguration) return this.roots.get(this.contextId);
    if (type === BufferType.VmConfiguration) return Buffer.alloc(0);
    return this.stream()?.buffer(type);
  }

  setTick(ms: number): void {
    this.tickMs = ms;
    this.sinceTick = 0;
  }

  setEffective(context: number): number {
    if (!this.streams.has(context) && !this.roots.has(context)) return Status.BadArgument;
    this.effective = context;
    return Status.Ok;
  }

  /** Calls an export with `context` current; a missing one is an error unless `optional`, then it gives 0. */
  call(context: number, name: string, args: number[], optional = false): number {
    const target = this.exports[name];
    if (typeof target !== 'function') {
      if (optional) return 0;
      throw new Error(`the module does not export ${name}`);
    }
    const saved = [this.current, this.effective] as const;
    this.current = context;
    this.effective = 0;
    this.depth++;
    let result: unknown;
    try {
      result = (target as (...values: number[]) => unknown)(...args);
    } finally {
      this.depth--;
      [this.current, this.effective] = saved;
    }
    while (this.depth === 0) {
      const action = this.pending.shift();
      if (action === undefined) break;
      action();
    }
    return typeof result === 'number' ? result : 0;
  }

  private get contextId(): number {
    return this.effective === 0 ? this.current : this.effective;
  }

  private abort(message: number, file: number, line: number, column: number): never {
    const text = this.memory.string(message);
    throw new Error(`the module aborted: ${text} at ${this.memory.string(file)}:${line}:${column}`);
  }
}
