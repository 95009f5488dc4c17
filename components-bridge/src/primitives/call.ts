import type { TraceContext } from '../telemetry/traceparent.js';
import type { Caller } from '../policy/types.js';
import type { BackendPlace } from './component.js';
import type { Code } from './errors.js';

/** What a call asked of a backend: the part of it that a trace shows. */
export interface Asked {
  /** Name and type of the component. */
  component: string;
  type: string;
  /** What it was asked to do, in the primitive's words, such as `get`. */
  operation: string;
  place: BackendPlace | undefined;
  /** How often it was asked: a bulk call asks once per key. */
  times: number;
  /** When it was asked first and when it answered last, in milliseconds of `performance.now()`. */
  from: number;
  to: number;
  /** Why the first of those that failed did. */
  failure: Code | undefined;
}

/** A caller of whom nothing is known. */
const NOBODY: Caller = { app: '', spiffe: '' };

/** What is known of a call while it is at work, and what it did with its time. */
export class Call {
  /** What it asked, if its trace is recorded. */
  asked: Asked | undefined;
  /** Whom the policy is asked for. */
  caller: Caller = NOBODY;
  /** The pod of the filter that sent it; empty if that is not known. */
  pod = '';
  /** When the caller gives up, in milliseconds of `performance.now()`; Infinity: never. */
  deadline = Infinity;
  /** How many questions a backend has not answered yet, since when there is one, and the time that took before. */
  #open = 0;
  #since = 0;
  #waited = 0;

  /**
   * @param method full method name, such as `layotto.bridge.v1.State/GetState`
   * @param traceparent the caller's W3C trace context as it came; empty if there is none
   * @param arrived when it arrived, in milliseconds of `performance.now()`, as every time here
   * @param trace where it stands in a trace that is recorded
   */
  constructor(
    readonly method: string,
    readonly traceparent: string,
    readonly arrived: number,
    readonly trace?: TraceContext,
  ) {}

  /** A backend is asked. */
  ask(now: number): void {
    if (this.#open++ === 0) this.#since = now;
  }

  /** A backend has answered, well or not. */
  answered(now: number): void {
    if (--this.#open === 0) this.#waited += now - this.#since;
  }

  /** How long it has waited for backends: once for questions that were open at the same time. */
  waitedMs(now: number): number {
    return this.#open === 0 ? this.#waited : this.#waited + now - this.#since;
  }
}
