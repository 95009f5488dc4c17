import { create, toBinary } from '@bufbuild/protobuf';
import { FailureSchema, Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import type { Caller } from '../policy/types.js';
import type { Call } from '../primitives/call.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { Handler } from '../primitives/handler.js';
import type { AppShare } from './app-share.js';
import type { CallWatch } from './calls.js';
import { FrameError } from './frame.js';
import type { Frame } from './frame.js';
import type { SessionStream } from './stream.js';

/** Requests over this size are acknowledged when taken in; results over it go on the large stream. */
export const LARGE = 64 * 1024;

const NO_BYTES = new Uint8Array(0);

export interface OperationLimits {
  /** Largest result, in bytes. */
  resultBytes: number;
  /** Most operations that may be at work for one pair. */
  operations: number;
  /** Most bytes of requests at work for one pair; and most bytes of results that its filter has not taken. */
  bytes: number;
}

/** The longest time a frame can say, in microseconds: more than an hour. */
const LONGEST_US = 2 ** 32 - 1;

interface Operation {
  id: number;
  stream: SessionStream;
  call: Call;
  /** Milliseconds of `performance.now()`; Infinity: none. */
  deadline: number;
}

/**
 * The operations of one filter: of its two paired streams, or of a stream that has no pair. Ids are unique among
 * them, whichever stream asked.
 */
export class Pair {
  /** The app beside the filter. */
  caller: Caller = { app: '', spiffe: '' };
  /** Its pod, where there are pods. */
  pod = '';
  small: SessionStream | undefined;
  large: SessionStream | undefined;
  /** Operations that somebody still waits for. */
  readonly #waiting = new Map<number, Operation>();
  /** Operations at work, also those nobody waits for any more, and the bytes of their requests. */
  #running = 0;
  #runningBytes = 0;
  #paused = false;
  #held = false;

  /** @param share of the app, if it shares the bridge with others */
  constructor(
    private readonly handlers: ReadonlyMap<string, Handler>,
    private readonly limits: OperationLimits,
    private readonly watch: CallWatch,
    private readonly share?: AppShare,
  ) {
    this.#held = share?.exhausted === true;
    this.#paused = this.#held;
  }

  get running(): number {
    return this.#running;
  }

  /** Bytes of the requests at work. */
  get runningBytes(): number {
    return this.#runningBytes;
  }

  /** The earliest deadline of an operation waited for; Infinity if there is none. */
  get nextDeadline(): number {
    let earliest = Infinity;
    for (const { deadline } of this.#waiting.values()) earliest = Math.min(earliest, deadline);
    return earliest;
  }

  get backlog(): number {
    return (this.small?.backlog ?? 0) + (this.large?.backlog ?? 0);
  }

  get empty(): boolean {
    return this.small === undefined && this.large === undefined;
  }

  /** Puts a stream in its place. A newer one takes the place of an older one, whose end may not have shown yet. */
  add(stream: SessionStream, large: boolean): void {
    if (large) this.large = stream;
    else this.small = stream;
    if (this.#paused) stream.pause();
  }

  /** The stream has closed: nobody waits for what it asked. */
  remove(stream: SessionStream): void {
    if (this.small === stream) this.small = undefined;
    if (this.large === stream) this.large = undefined;
    for (const operation of this.#waiting.values()) {
      if (operation.stream === stream) this.#waiting.delete(operation.id);
    }
    this.regulate();
  }

  /**
   * Tells the filter something unasked, after every result that was sent before. One that takes nothing any more
   * cannot be told, and must not go on believing what it keeps: its session ends.
   */
  push(payload: Uint8Array): void {
    if (this.small === undefined) return;
    if (this.backlog > this.limits.bytes) {
      this.small.end(Code.RESOURCE_EXHAUSTED, `${this.backlog} bytes have not been taken`);
      return;
    }
    this.small.send(0, Kind.PUSH, payload);
  }

  /**
   * @param now when it arrived, in milliseconds of `performance.now()`
   * @throws FrameError if the frame breaks the session's rules
   */
  request(stream: SessionStream, frame: Frame, now: number): void {
    const { id, method, payload } = frame;
    if (id === 0) throw new FrameError('a request has no id');
    if (this.#waiting.has(id)) throw new FrameError(`the id ${id} is in use`);
    if (payload.length > LARGE) stream.send(id, Kind.ACK, NO_BYTES);
    const call = this.watch.begin(method, frame.traceparent, now);
    call.caller = this.caller;
    call.pod = this.pod;
    const deadline = frame.deadlineMs > 0 ? now + frame.deadlineMs : Infinity;
    call.deadline = deadline;
    const operation: Operation = { id, stream, call, deadline };
    const handler = this.handlers.get(method);
    if (handler === undefined) {
      const message = `unknown method ${JSON.stringify(method.slice(0, 200))}`;
      this.#fail(operation, new OperationError(Code.UNIMPLEMENTED, message));
      return;
    }
    const { operations, bytes } = this.limits;
    if (
      this.#running >= operations ||
      this.#runningBytes + payload.length > Math.max(bytes, payload.length)
    ) {
      const message = `too busy: ${this.#running} operations of ${this.#runningBytes} bytes are at work`;
      this.#fail(operation, new OperationError(Code.RESOURCE_EXHAUSTED, message));
      return;
    }
    const refusal = this.share?.refusal(payload.length);
    if (refusal !== undefined) {
      this.#fail(operation, new OperationError(Code.RESOURCE_EXHAUSTED, refusal));
      return;
    }
    this.#waiting.set(id, operation);
    this.#running++;
    this.#runningBytes += payload.length;
    this.share?.take(payload.length);
    if (this.share === undefined) this.#perform(operation, handler, payload);
    else this.share.begin(() => this.#perform(operation, handler, payload));
  }

  /**
   * Nobody waits for this one any more: what it was for goes on, its result is dropped. The filter is still
   * answered, because it counts an operation, and the bytes of its request, until it has been.
   */
  cancel(id: number): void {
    const operation = this.#waiting.get(id);
    if (operation === undefined) return;
    this.#waiting.delete(id);
    this.#fail(operation, new OperationError(Code.CANCELLED, 'cancelled'));
  }

  /** Answers the operations whose deadline has passed. */
  expire(now: number): void {
    for (const operation of this.#waiting.values()) {
      if (operation.deadline > now) continue;
      this.#waiting.delete(operation.id);
      this.#fail(operation, expired());
    }
  }

  /** Stops reading while the app has used up its turn, and goes on after that. */
  hold(held: boolean): void {
    this.#held = held;
    this.regulate();
  }

  /** Stops reading while too much waits to be written, and goes on when it has gone. */
  regulate(): void {
    const tooMuch = this.#held || this.backlog > this.limits.bytes / 4;
    if (tooMuch === this.#paused) return;
    this.#paused = tooMuch;
    for (const stream of [this.small, this.large]) {
      if (tooMuch) stream?.pause();
      else stream?.resume();
    }
  }

  #perform(operation: Operation, handler: Handler, payload: Uint8Array): void {
    const { length } = payload;
    const settled = (): boolean => {
      this.#running--;
      this.#runningBytes -= length;
      this.share?.release(length);
      return this.#waiting.get(operation.id) === operation && this.#waiting.delete(operation.id);
    };
    // It may have been given up while it waited for its turn.
    if (this.#waiting.get(operation.id) !== operation) {
      settled();
      return;
    }
    handler(payload, operation.call).then(
      (result) => {
        if (settled()) this.#reply(operation, result);
        this.watch.ended(operation.call);
      },
      (error: unknown) => {
        if (settled()) this.#fail(operation, error);
        this.watch.ended(operation.call);
      },
    );
  }

  #reply(operation: Operation, result: Uint8Array): void {
    const { id, stream, deadline, call } = operation;
    const { resultBytes, bytes } = this.limits;
    const now = performance.now();
    if (now > deadline) {
      this.#fail(operation, expired());
    } else if (result.length > resultBytes) {
      const message = `the answer has ${result.length} bytes; the limit is ${resultBytes}`;
      this.#fail(operation, new OperationError(Code.RESOURCE_EXHAUSTED, message));
    } else if (result.length > LARGE && this.backlog + result.length > bytes) {
      const message = `too busy: ${this.backlog} bytes of answers have not been taken`;
      this.#fail(operation, new OperationError(Code.RESOURCE_EXHAUSTED, message));
    } else {
      const carrier = result.length > LARGE && this.large?.closed === false ? this.large : stream;
      carrier.send(id, Kind.RESULT, result, micros(now - call.arrived), micros(call.waitedMs(now)));
      this.regulate();
    }
  }

  #fail({ id, stream, call }: Operation, error: unknown): void {
    const now = performance.now();
    const failure = toBinary(FailureSchema, create(FailureSchema, this.watch.failed(call, error, now)));
    stream.send(id, Kind.FAILURE, failure, micros(now - call.arrived), micros(call.waitedMs(now)));
    this.regulate();
  }
}

/** Whole microseconds, as frames say them. */
function micros(ms: number): number {
  return Math.min(Math.round(ms * 1_000), LONGEST_US);
}

function expired(): OperationError {
  return new OperationError(Code.DEADLINE_EXCEEDED, 'the deadline passed before the answer came');
}
