import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

import type { StreamMethod } from '../doors/method.js';
import type { Refused } from '../doors/refused.js';
import type { Call } from '../primitives/call.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { MessageStream, StreamHandler, StreamSubject } from '../primitives/stream.js';
import type { DoorSite } from './door-call.js';
import { COMPRESSED, EXPIRED, framed, isGone, open, refuse, timeoutMs } from './door-reply.js';
import { FrameError } from './frame.js';
import { MessageReader } from './message-reader.js';
import { endDoubtMs } from './served-stream.js';

/** What a message may have beside the data that is as long as messages may be. */
const MESSAGE_SLACK = 64 * 1024;

const IDLE: Refused = { code: Code.DEADLINE_EXCEEDED, message: 'stream timeout' };

const CANCELLED = 'the call was cancelled';

interface Waiting<Value> {
  resolve: (value: Value) => void;
  reject: (reason: unknown) => void;
}

/** One call of a streaming method. What has come and was not read is at most what one chunk held. */
export class DoorStream implements MessageStream {
  readonly call: Call;
  readonly ended: Promise<void>;
  readonly #abort = new AbortController();
  readonly #reader: MessageReader;
  readonly #limit: number;
  readonly #timers: NodeJS.Timeout[] = [];
  #idle: NodeJS.Timeout | undefined;
  #messages: Uint8Array[] = [];
  #reading: Waiting<Uint8Array | undefined> | undefined;
  #lastRead = false;
  #status: Refused | undefined;
  /** What the policy has admitted, by component. */
  readonly #admitted = new Map<string, StreamSubject>();
  #over = false;
  #onEnded: () => void = () => undefined;

  constructor(
    private readonly http2: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders,
    private readonly method: StreamMethod,
    handler: StreamHandler,
    private readonly site: DoorSite,
    readonly leaving: AbortSignal,
  ) {
    this.ended = new Promise((resolve) => (this.#onEnded = resolve));
    this.#limit = site.limits.messageBytes + MESSAGE_SLACK;
    this.#reader = new MessageReader(this.#limit);
    const traceparent = String(headers['traceparent'] ?? '');
    this.call = site.watch.begin(method.path.slice(1), traceparent, performance.now());
    this.call.caller = site.gate.caller;
    const ms = timeoutMs(headers['grpc-timeout']);
    if (ms !== undefined) this.#timers.push(setTimeout(() => this.end(EXPIRED), ms));
    if (method.idleMs !== undefined) this.#idle = setTimeout(() => this.end(IDLE), method.idleMs);
    http2.on('data', (chunk: Buffer) => this.#take(chunk));
    http2.on('end', () => this.#halfClosed());
    http2.on('close', () => this.#closed());
    http2.pause();
    void this.#serve(handler);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  admit(subject: StreamSubject): void {
    const refused = this.site.gate.admitStream(subject);
    if (refused !== undefined) throw new OperationError(refused.code, refused.message);
    this.#admitted.set(subject.component, subject);
  }

  /** The policy has changed: ends the call if it is not allowed any more. */
  recheck(): void {
    for (const subject of this.#admitted.values()) {
      const refused = this.site.gate.admitStream(subject, true);
      if (refused === undefined) continue;
      this.end(refused);
      return;
    }
  }

  async read(): Promise<Uint8Array | undefined> {
    this.signal.throwIfAborted();
    const next = this.#messages.shift();
    if (next !== undefined) return next;
    if (this.#lastRead) return undefined;
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
      this.http2.resume();
    });
  }

  async send(message: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    // A method that is the door's own is about no component.
    if (this.#admitted.size === 0 && this.method.handler === undefined)
      throw new Error(`${this.method.path} answers before it was admitted`);
    if (message.length > this.#limit) {
      const text = `a message of ${message.length} bytes is larger than limits.message (${this.#limit} bytes)`;
      throw new OperationError(Code.RESOURCE_EXHAUSTED, text);
    }
    this.#idle?.refresh();
    if (isGone(this.http2)) throw new OperationError(Code.CANCELLED, CANCELLED);
    if (!this.http2.headersSent) open(this.http2, () => this.#status);
    if (this.http2.write(framed(message))) return;
    await new Promise<void>((resolve, reject) => {
      const gone = (): void => reject(this.signal.reason as Error);
      this.http2.once('drain', () => {
        this.signal.removeEventListener('abort', gone);
        resolve();
      });
      this.signal.addEventListener('abort', gone, { once: true });
    });
  }

  /** Ends it now, whatever its handler does. */
  end(reason: Refused): void {
    this.#finish(reason);
    this.#stop(new OperationError(reason.code, reason.message));
  }

  #take(chunk: Buffer): void {
    if (this.#over) return;
    this.#idle?.refresh();
    try {
      this.#reader.push(chunk, (message) => {
        this.#messages.push(message);
        return true;
      });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      const compressed = error.message.includes('compressed');
      this.end(compressed ? COMPRESSED : { code: Code.RESOURCE_EXHAUSTED, message: error.message });
      return;
    }
    const reading = this.#reading;
    const next = reading === undefined ? undefined : this.#messages.shift();
    if (reading !== undefined && next !== undefined) {
      this.#reading = undefined;
      reading.resolve(next);
    }
    if (this.#reading === undefined) this.http2.pause();
  }

  /** A broken upload must not pass for a whole one, but a reset may look like an end; see ServedStream. */
  #halfClosed(): void {
    this.#onEnded();
    const over = (): void => {
      if (this.signal.aborted) return;
      this.#lastRead = true;
      const reading = this.#reading;
      this.#reading = undefined;
      reading?.resolve(undefined);
    };
    const doubt = endDoubtMs(this.headers['user-agent']);
    if (doubt === 0) setImmediate(over);
    else this.#timers.push(setTimeout(over, doubt));
  }

  #closed(): void {
    this.#stop(new OperationError(Code.CANCELLED, CANCELLED));
    if (this.#over) return;
    this.#over = true;
    this.site.over(this.method.path.slice(1), Code.CANCELLED);
  }

  /** Nobody waits for it any more. */
  #stop(reason: OperationError): void {
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#idle);
    if (this.signal.aborted) return;
    this.#messages = [];
    this.#abort.abort(reason);
    this.#reading?.reject(reason);
    this.#reading = undefined;
  }

  async #serve(handler: StreamHandler): Promise<void> {
    const { watch } = this.site;
    try {
      await handler(this);
      this.#finish(undefined);
    } catch (error) {
      this.#finish(watch.failed(this.call, error, performance.now()));
    }
    watch.ended(this.call);
  }

  #finish(refused: Refused | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#status = refused;
    this.site.over(this.method.path.slice(1), refused?.code ?? 0);
    if (isGone(this.http2)) return;
    if (!this.http2.headersSent && refused !== undefined) {
      refuse(this.http2, refused);
      return;
    }
    if (!this.http2.headersSent) open(this.http2, () => undefined);
    this.http2.end();
  }
}
