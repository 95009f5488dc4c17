import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

import type { Gate } from '../doors/admit.js';
import type { Answer, Behind, Step, UnaryMethod } from '../doors/method.js';
import type { Refused } from '../doors/refused.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { Handler } from '../primitives/handler.js';
import type { CallWatch } from './calls.js';
import type { DoorBudget } from './door-budget.js';
import {
  BUSY,
  EXPIRED,
  framed,
  isGone,
  open,
  refuse,
  RESULT_TOO_LARGE,
  timeoutMs,
  tooLarge,
  unaryMessage,
} from './door-reply.js';
import { GRPC_HEADER } from './frame.js';

/** Bytes of an operation's result beside a message as long as messages may be, as on a session. */
const RESULT_SLACK = 64 * 1024;

/** Bytes that a call takes by being there, beside its headers and messages. */
const CALL_BYTES = 4_096;

/** What all calls of a door share. */
export interface DoorSite {
  behind: Behind;
  /** Who performs an operation. */
  handler(operation: string): Handler | undefined;
  gate: Gate;
  budget: DoorBudget;
  limits: { messageBytes: number; deadlineMs: number };
  watch: CallWatch;
  /** Told once of each call, when it is over. */
  over(method: string, code: Code | 0): void;
}

/** One call of a unary method: it takes in the request, asks for the operation, and answers. */
export class DoorCall {
  readonly #arrived = performance.now();
  readonly #deadline: number;
  readonly #timer: NodeJS.Timeout;
  #chunks: Buffer[] = [];
  /** Bytes of the request. */
  #received = 0;
  /** Bytes that it holds in the budget, and what it holds by being there. */
  #held = 0;
  readonly #waiting: number;
  #asking = false;
  #over = false;

  constructor(
    private readonly http2: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders,
    private readonly method: UnaryMethod,
    private readonly site: DoorSite,
  ) {
    const ms = timeoutMs(headers['grpc-timeout']) ?? site.limits.deadlineMs;
    this.#deadline = this.#arrived + ms;
    this.#timer = setTimeout(() => this.#refuse(EXPIRED), ms);
    this.#waiting = sizeOf(headers) + CALL_BYTES;
    http2.on('close', () => this.#closed());
    if (!site.budget.takeWaiting(this.#waiting)) {
      this.#waiting = 0;
      this.#refuse(BUSY);
      return;
    }
    http2.on('data', (chunk: Buffer) => this.#take(chunk));
    http2.on('end', () => this.#receive());
  }

  /** Ends it now. */
  end(reason: Refused): void {
    this.#refuse(reason);
  }

  #take(chunk: Buffer): void {
    if (this.#over) return;
    const { budget, limits } = this.site;
    this.#received += chunk.length;
    if (this.#received > limits.messageBytes + GRPC_HEADER) {
      this.#refuse(tooLarge(limits.messageBytes));
      return;
    }
    if (!budget.take(chunk.length)) {
      this.#refuse(BUSY);
      return;
    }
    this.#held += chunk.length;
    this.#chunks.push(chunk);
  }

  #receive(): void {
    // A stream that was reset may end like a whole one.
    if (this.#over || this.http2.aborted) return;
    const message = unaryMessage(Buffer.concat(this.#chunks));
    this.#chunks = [];
    if ('code' in message) {
      this.#refuse(message);
      return;
    }
    const { gate, behind } = this.site;
    let about = '';
    const admit = (component: string, name?: string): Refused | undefined => {
      about = component;
      return gate.admit(this.method, component, name);
    };
    const step = this.method.start(message, behind, admit, this.headers);
    if ('refused' in step) {
      // It costs nothing.
      this.#refuse(step.refused);
      return;
    }
    const spent = gate.spend(this.method, about);
    if (spent !== undefined) this.#refuse(spent);
    else if ('answer' in step) this.#answer(step.answer);
    else void this.#ask(step);
  }

  async #ask(step: Extract<Step, { operation: string }>): Promise<void> {
    const { budget, watch, limits } = this.site;
    const { operation, payload } = step;
    if (!budget.takeOperation()) {
      this.#refuse(step.onFailure(BUSY));
      return;
    }
    this.#asking = true;
    const traceparent = String(this.headers['traceparent'] ?? '');
    const call = watch.begin(operation, traceparent, this.#arrived);
    call.deadline = this.#deadline;
    call.caller = this.site.gate.caller;
    let outcome: Answer | Refused;
    try {
      const handler = this.site.handler(operation);
      if (handler === undefined)
        throw new OperationError(Code.UNIMPLEMENTED, `unknown method "${operation}"`);
      const result = await handler(payload, call);
      checkSize(result, limits.messageBytes);
      outcome = step.onResult(result);
    } catch (error) {
      outcome = step.onFailure(watch.failed(call, error, performance.now()));
    }
    watch.ended(call);
    budget.giveOperation();
    this.#asking = false;
    this.#release();
    if ('code' in outcome) this.#refuse(outcome);
    else this.#answer(outcome, step);
  }

  #answer({ message, headers, trailers }: Answer, step?: Extract<Step, { operation: string }>): void {
    if (this.#over) return;
    if (!this.site.budget.take(message.length)) {
      this.#refuse(step?.onFailure(BUSY) ?? BUSY);
      return;
    }
    // Given back when the caller has taken it, or is gone.
    this.#held += message.length;
    this.#finished(0);
    if (isGone(this.http2)) return;
    open(this.http2, () => undefined, headers, trailers);
    this.http2.end(framed(message));
  }

  #refuse(refused: Refused): void {
    if (this.#over) return;
    this.#chunks = [];
    this.#finished(refused.code);
    refuse(this.http2, refused);
  }

  #finished(code: Code | 0): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.site.over(this.method.path.slice(1), code);
  }

  #closed(): void {
    if (!this.#over) this.#finished(Code.CANCELLED);
    this.#chunks = [];
    this.site.budget.giveWaiting(this.#waiting);
    if (!this.#asking) this.#release();
  }

  /** Gives the bytes back: those of the request when the operation has ended, those of the answer with the stream. */
  #release(): void {
    this.site.budget.give(this.#held);
    this.#held = 0;
  }
}

/** Bytes of headers. */
function sizeOf(headers: IncomingHttpHeaders): number {
  let size = 0;
  for (const [name, value] of Object.entries(headers)) size += name.length + String(value ?? '').length;
  return size;
}

/** @throws OperationError if an operation's result is longer than callers may get */
function checkSize({ length }: Uint8Array, limit: number): void {
  const longest = limit + RESULT_SLACK;
  if (length > longest) {
    const message = `the answer has ${length} bytes; the limit is ${longest}`;
    throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
  }
  if (length > limit) throw new OperationError(Code.RESOURCE_EXHAUSTED, RESULT_TOO_LARGE);
}
