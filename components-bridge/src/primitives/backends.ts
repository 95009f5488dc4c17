import { Histogram } from '../telemetry/histogram.js';
import { Secrets } from '../telemetry/secrets.js';
import type { Call } from './call.js';
import type { Component } from './component.js';
import { Code, OperationError, reasonOf } from './errors.js';
import { Seats } from './seats.js';
import type { ComponentSlot } from './slot.js';

/** What was counted of one operation of one component. */
export interface BackendSeries {
  readonly component: string;
  readonly type: string;
  readonly operation: string;
  /** How long the backend took, whatever its answer. */
  readonly durations: Histogram;
  /** Failures by code, also those that never reached the backend. */
  readonly failures: Map<Code, number>;
}

/** How a primitive says what went wrong with a component. */
export interface Wording {
  /** The component cannot be asked now. */
  notReady(slot: ComponentSlot): OperationError;
  /** What the component threw, as the filter hears it; or as it was thrown, if it is a bug. */
  failure(error: unknown, slot: ComponentSlot): unknown;
}

/** Stands for every component that is not configured, so that callers cannot make up series. */
const UNKNOWN = 'unknown';

/** The one way to ask a component, whatever its primitive: each question is timed and counted here. */
export class Backends {
  /** @param secrets what `reasonOf` takes out */
  constructor(private readonly secrets = new Secrets()) {}

  /** How many calls of a component may be at work. */
  readonly seats = new Seats();
  readonly #bySlot = new WeakMap<ComponentSlot, Map<string, BackendSeries>>();
  readonly #series = new Map<string, BackendSeries>();

  /** Everything counted so far. */
  get series(): Iterable<BackendSeries> {
    return this.#series.values();
  }

  /**
   * Asks a component if it is ready.
   *
   * @param operation what is asked, one of a few words of the primitive's own: it becomes a label
   * @throws what the wording makes of the failure; RESOURCE_EXHAUSTED if its calls at work are as many as there may be
   */
  async ask<Backend extends Component, Result>(
    call: Call,
    slot: ComponentSlot,
    operation: string,
    perform: (component: Backend) => Promise<Result>,
    wording: Wording,
  ): Promise<Result> {
    const component = slot.instance as Backend | undefined;
    if (component === undefined) throw this.refused(call, slot, operation, wording);
    const series = this.#of(slot, operation);
    const start = performance.now();
    let giveBack: (() => void) | undefined;
    try {
      giveBack = this.seats.take(call, slot);
    } catch (busy) {
      count(series, busy);
      note(call, series, undefined, start, start, busy);
      throw busy;
    }
    call.ask(start);
    try {
      const result = await perform(component);
      const end = performance.now();
      call.answered(end);
      series.durations.observe(end - start);
      note(call, series, component, start, end);
      return result;
    } catch (error) {
      const end = performance.now();
      call.answered(end);
      series.durations.observe(end - start);
      const failure = wording.failure(error, slot);
      count(series, failure);
      note(call, series, component, start, end, failure);
      throw failure;
    } finally {
      giveBack?.();
    }
  }

  /** Counts a question to a component that is not ready. */
  refused(call: Call, slot: ComponentSlot, operation: string, wording: Wording): unknown {
    const series = this.#of(slot, operation);
    const failure = wording.notReady(slot);
    const now = performance.now();
    count(series, failure);
    note(call, series, undefined, now, now, failure);
    return failure;
  }

  /** Counts a question to a component that is not configured. */
  unknown(operation: string, failure: OperationError): OperationError {
    count(this.#named(UNKNOWN, UNKNOWN, operation), failure);
    return failure;
  }

  /** Why a component failed, for an answer that is no failure as a whole; of those the session takes secrets out. */
  reasonOf(failure: unknown): string {
    return this.secrets.redact(reasonOf(failure));
  }

  #of(slot: ComponentSlot, operation: string): BackendSeries {
    let known = this.#bySlot.get(slot);
    if (known === undefined) {
      known = new Map();
      this.#bySlot.set(slot, known);
    }
    let series = known.get(operation);
    if (series === undefined) {
      series = this.#named(slot.config.name, slot.config.type, operation);
      known.set(operation, series);
    }
    return series;
  }

  #named(component: string, type: string, operation: string): BackendSeries {
    const id = JSON.stringify([component, type, operation]);
    let series = this.#series.get(id);
    if (series === undefined) {
      series = { component, type, operation, durations: new Histogram(), failures: new Map() };
      this.#series.set(id, series);
    }
    return series;
  }
}

function count({ failures }: BackendSeries, failure: unknown): void {
  const code = codeOf(failure);
  failures.set(code, (failures.get(code) ?? 0) + 1);
}

function codeOf(failure: unknown): Code {
  return failure instanceof OperationError ? failure.code : Code.INTERNAL;
}

/** Adds a question to what the call's trace will show. */
function note(
  call: Call,
  { component, type, operation }: BackendSeries,
  backend: Component | undefined,
  from: number,
  to: number,
  failure?: unknown,
): void {
  if (call.trace === undefined) return;
  const code = failure === undefined ? undefined : codeOf(failure);
  const { asked } = call;
  if (asked === undefined) {
    const place = backend?.place;
    call.asked = { component, type, operation, place, times: 1, from, to, failure: code };
    return;
  }
  asked.times++;
  asked.from = Math.min(asked.from, from);
  asked.to = Math.max(asked.to, to);
  asked.failure ??= code;
}
