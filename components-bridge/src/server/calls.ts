import type { Logger } from 'pino';

import { Call } from '../primitives/call.js';
import { Code, OperationError, reasonOf } from '../primitives/errors.js';
import type { SpanExporter } from '../telemetry/otlp.js';
import { Secrets } from '../telemetry/secrets.js';
import { parseTraceparent } from '../telemetry/traceparent.js';
import { Throttle } from './throttle.js';

/** Messages become headers at the filter; they quote keys, which may be long. */
const LONGEST_MESSAGE = 2_048;

/** Warnings about calls per second, at most; what is beyond is still logged as debug. */
const WARNINGS_PER_SECOND = 20;

/** Codes that say that something is wrong here or at a backend, and not with the call. */
const UNEXPECTED: ReadonlySet<Code> = new Set([Code.INTERNAL, Code.UNKNOWN]);

export interface CallWatchOptions {
  log: Logger;
  secrets?: Secrets;
  /** Takes the spans of calls whose trace is recorded; by default there are none. */
  spans?: SpanExporter | undefined;
}

/** Why a call failed, as the filter is told. */
export interface CallFailure {
  code: Code;
  message: string;
}

/** Follows calls from their arrival to their answer: log lines of those that failed, spans of those that are traced. */
export class CallWatch {
  readonly #log: Logger;
  readonly #secrets: Secrets;
  readonly #spans: SpanExporter | undefined;
  readonly #warnings = new Throttle(WARNINGS_PER_SECOND);

  constructor({ log, secrets = new Secrets(), spans }: CallWatchOptions) {
    this.#log = log;
    this.#secrets = secrets;
    this.#spans = spans;
  }

  begin(method: string, traceparent: string, now: number): Call {
    if (this.#spans === undefined || traceparent === '') return new Call(method, traceparent, now);
    const trace = parseTraceparent(traceparent);
    return new Call(method, traceparent, now, trace?.sampled === true ? trace : undefined);
  }

  /** What to tell the filter of a failure, which is logged. */
  failed(call: Call, error: unknown, now: number): CallFailure {
    const known = error instanceof OperationError;
    const code = known ? error.code : Code.INTERNAL;
    const message = this.#secrets.redact(reasonOf(error)).slice(0, LONGEST_MESSAGE);
    const traceId = parseTraceparent(call.traceparent)?.traceId;
    const line = {
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      method: call.method.slice(0, 200),
      code: Code[code],
      ms: Math.round((now - call.arrived) * 1_000) / 1_000,
    };
    if (!known) this.#log.error({ ...line, err: error }, 'an operation failed in a way that is a bug');
    else if (UNEXPECTED.has(code) && this.#warnings.pass(now))
      this.#log.warn({ ...line, reason: message }, 'call failed');
    else this.#log.debug({ ...line, reason: message }, 'call failed');
    return { code, message };
  }

  /** The call has been answered; a span tells of what it asked a backend. */
  ended(call: Call): void {
    const { trace, asked } = call;
    if (trace === undefined || asked === undefined) return;
    const { component, type, operation, place, times, from, to, failure } = asked;
    const primitive = type.slice(0, type.indexOf('.'));
    this.#spans?.add({
      trace,
      name: `${primitive}.${operation} ${component}`,
      from,
      to,
      attributes: {
        'layotto.component': component,
        'layotto.component.type': type,
        'rpc.method': call.method,
        'db.operation.name': operation,
        ...(times > 1 ? { 'db.operation.batch.size': times } : {}),
        ...(place === undefined ? {} : { 'db.system.name': place.system }),
        ...(place?.address === undefined ? {} : { 'server.address': place.address }),
        ...(place?.port === undefined ? {} : { 'server.port': place.port }),
        ...(failure === undefined ? {} : { 'error.type': Code[failure] }),
      },
      ...(failure === undefined ? {} : { error: Code[failure] }),
    });
  }
}
