import type { ServerInterceptingCallInterface, ServerListener } from '@grpc/grpc-js';

import type { Policy } from '../policy/policy.js';
import type { Caller } from '../policy/types.js';
import type { Call } from '../primitives/call.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { MessageStream, StreamHandler, StreamSubject } from '../primitives/stream.js';
import type { CallWatch } from './calls.js';

/**
 * How long the end of what a caller on Node sends is doubted: Node's clients end a stream before they reset it, and the
 * reset was seen to come up to 7 ms later on an idle machine, and 65 ms on a busy one.
 */
const DOUBT_MS = 75;
/** Who calls, as the filter says it; `assembly/policy/stage.ts` drops what others say. */
const CALLER = 'x-layotto-caller';
const REMOTE = 'remote:';
const OWN = 'own:';
const NODE_CLIENT = /\bgrpc-node(-js)?\//;

/** How long the end of what a caller sends is doubted, in milliseconds: 0 is until the next turn. */
export function endDoubtMs(userAgent: string | undefined): number {
  return NODE_CLIENT.test(userAgent ?? '') ? DOUBT_MS : 0;
}

export interface ServedStreamOptions {
  /** Method as a path. */
  path: string;
  handler: StreamHandler;
  policy: Policy;
  /** The app that the filter is beside. */
  appId: string;
  /** Largest message sent, in bytes. */
  messageBytes: number;
  leaving: AbortSignal;
  watch: CallWatch;
  /** Told once, when the call is over. */
  onEnd: (stream: ServedStream, code: Code | 0) => void;
}

interface Waiting<Value> {
  resolve: (value: Value) => void;
  reject: (reason: unknown) => void;
}

/**
 * One streaming call on grpc-js. It listens where interceptors do, below grpc-js's own stream objects: those read up to
 * 16 messages ahead, which may be as large as all messages may be, while here each is asked for.
 */
export class ServedStream implements MessageStream {
  readonly #abort = new AbortController();
  #call: Call;
  #reading: Waiting<Uint8Array | undefined> | undefined;
  #sending: Waiting<void> | undefined;
  #read = false;
  #over = false;
  #doubtMs = 0;
  /** What the policy has admitted, by component. */
  readonly #admitted = new Map<string, StreamSubject>();
  #onEnded: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => (this.#onEnded = resolve));

  constructor(
    private readonly grpc: ServerInterceptingCallInterface,
    private readonly options: ServedStreamOptions,
  ) {
    this.#call = options.watch.begin(options.path.slice(1), '', performance.now());
  }

  get call(): Call {
    return this.#call;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get leaving(): AbortSignal {
    return this.options.leaving;
  }

  /** What grpc-js tells of the call. None of it is handed on, so the handler that is registered there is never run. */
  readonly listener: ServerListener = {
    onReceiveMetadata: (metadata) => {
      const [traceparent] = metadata.get('traceparent');
      const { path, watch } = this.options;
      this.#call = watch.begin(path.slice(1), String(traceparent ?? ''), performance.now());
      this.#call.caller = callerOf(String(metadata.get(CALLER)[0] ?? ''), this.options.appId);
      this.#doubtMs = endDoubtMs(String(metadata.get('user-agent')[0] ?? ''));
      void this.#serve();
    },
    onReceiveMessage: (message: Uint8Array) => this.#received(message),
    onReceiveHalfClose: () => this.#halfClosed(),
    onCancel: () => this.abort(new OperationError(Code.CANCELLED, 'the call was cancelled')),
  };

  async read(): Promise<Uint8Array | undefined> {
    this.signal.throwIfAborted();
    if (this.#read) return undefined;
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
      this.grpc.startRead();
    });
  }

  admit(subject: StreamSubject): void {
    const denial = this.options.policy.admit(this.call.caller, { ...subject, name: subject.name });
    if (denial !== undefined) throw new OperationError(Code.PERMISSION_DENIED, denial.message);
    this.#admitted.set(subject.component, subject);
  }

  /** The policy has changed: ends the call if it is not allowed any more. */
  recheck(): void {
    for (const subject of this.#admitted.values()) {
      const denial = this.options.policy.denialOf(this.call.caller, { ...subject, name: subject.name });
      if (denial === undefined) continue;
      this.end(new OperationError(Code.PERMISSION_DENIED, denial.message));
      return;
    }
  }

  async send(message: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    if (this.#admitted.size === 0) throw new Error(`${this.options.path} answers before it was admitted`);
    if (message.length > this.options.messageBytes) {
      const text = `a message of ${message.length} bytes is larger than limits.message (${this.options.messageBytes} bytes)`;
      throw new OperationError(Code.RESOURCE_EXHAUSTED, text);
    }
    await new Promise<void>((resolve, reject) => {
      this.#sending = { resolve, reject };
      this.grpc.sendMessage(message, () => {
        this.#sending = undefined;
        resolve();
      });
    });
  }

  /** Nobody waits for it any more. */
  abort(reason: OperationError): void {
    if (this.signal.aborted) return;
    this.#abort.abort(reason);
    this.#reading?.reject(reason);
    this.#sending?.reject(reason);
    this.#reading = this.#sending = undefined;
  }

  /** Ends it now, whatever its handler does. */
  end(reason: OperationError): void {
    this.#end(reason.code, reason.message);
    this.abort(reason);
  }

  /**
   * A broken upload must not pass for a whole one, but a reset may look like an end. Node ends what can be read of a
   * stream whose reset says NO_ERROR; only, that stream is closed already, and grpc-js notices when it is asked to read
   * on, so that `onCancel` comes before the next turn. And a client on Node really ends a stream before it resets it.
   */
  #halfClosed(): void {
    this.#read = true;
    this.#onEnded();
    this.grpc.startRead();
    if (this.#doubtMs > 0) setTimeout(() => this.#received(undefined), this.#doubtMs);
    else setImmediate(() => this.#received(undefined));
  }

  #received(message: Uint8Array | undefined): void {
    const reading = this.#reading;
    this.#reading = undefined;
    reading?.resolve(message);
  }

  async #serve(): Promise<void> {
    const { handler, watch } = this.options;
    try {
      await handler(this);
      this.#end(0, '');
    } catch (error) {
      const { code, message } = watch.failed(this.call, error, performance.now());
      this.#end(code, message);
    }
    watch.ended(this.call);
  }

  #end(code: Code | 0, message: string): void {
    if (this.#over) return;
    this.#over = true;
    // A half of a surrogate pair cannot be encoded.
    this.grpc.sendStatus({ code: code as number, details: Buffer.from(message).toString() });
    this.options.onEnd(this, code);
  }
}

/** Without a word of the filter it is the app beside it. */
function callerOf(said: string, app: string): Caller {
  if (said.startsWith(REMOTE)) return { app: '', spiffe: said.slice(REMOTE.length) };
  return { app, spiffe: said.startsWith(OWN) ? said.slice(OWN.length) : '' };
}
