import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';

import { readTiming } from '../config/timing.js';
import type { Timing } from '../config/timing.js';
import type { RuntimeConfig, ScheduleConfig } from '../config/types.js';
import { AppError } from '../primitives/app-channel.js';
import type { AppChannel } from '../primitives/app-channel.js';
import { reasonOf } from '../primitives/errors.js';
import { functionChannel, isThere } from './function-channel.js';
import type { FunctionChannelOptions } from './function-channel.js';
import type { RunClaims } from './run-claims.js';

/** Longest sleep of a timer, in milliseconds: a clock that is set, or a machine that slept, is noticed after it. */
const LONGEST_SLEEP_MS = 30_000;

/**
 * What became of a run that was due. `failure`: the function did not answer with success; `missed`: there was no
 * function, no Envoy, or no lock store; `skipped`: as many runs as may be were under way; `elsewhere`: another replica of the
 * app makes it.
 */
export type RunOutcome = 'success' | 'failure' | 'missed' | 'skipped' | 'elsewhere';

/** How many runs of one schedule ended so. */
export interface RunSeries {
  readonly schedule: string;
  readonly function: string;
  readonly outcome: RunOutcome;
  count: number;
}

export interface SchedulesOptions extends FunctionChannelOptions {
  log: Logger;
  claims: Pick<RunClaims, 'take'>;
}

/** Calls functions when they are due. A run that failed, or was missed, is not repeated: the next one is. */
export class Schedules {
  readonly #running = new Map<string, Running>();
  readonly #series = new Map<string, RunSeries>();
  /** Schedules that are no more, and runs that they have under way. */
  readonly #ending = new Set<Promise<void>>();
  #wanted: readonly ScheduleConfig[];
  #started = false;
  #closed = false;

  constructor(private readonly options: SchedulesOptions) {
    this.#wanted = options.config.schedules ?? [];
  }

  get runs(): Iterable<RunSeries> {
    return this.#series.values();
  }

  start(): void {
    this.#started = true;
    this.#reconcile();
  }

  /** Another configuration holds. What is the same in it goes on as it is. */
  use({ schedules = [] }: RuntimeConfig): void {
    this.#wanted = schedules;
    this.#reconcile();
  }

  /** Begins no more runs, and resolves when those under way are over. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [name, one] of this.#running) this.#end(name, one);
    await Promise.all(this.#ending);
  }

  #reconcile(): void {
    if (!this.#started || this.#closed) return;
    const wanted = new Map(this.#wanted.map((one) => [one.name, one]));
    for (const [name, running] of this.#running)
      if (!isDeepStrictEqual(wanted.get(name), running.config)) this.#end(name, running);
    for (const [name, config] of wanted) {
      if (this.#running.has(name)) continue;
      const { log, claims } = this.options;
      const count = (outcome: RunOutcome): void => this.#count(config, outcome);
      const channel = functionChannel(this.options, config.function);
      const { deadlineMs } = this.options.config.limits;
      const running = new Running({
        config,
        channel,
        appId: this.options.config.app.id,
        ...{ deadlineMs, log, claims, count },
      });
      this.#running.set(name, running);
      void running.begin();
    }
  }

  #end(name: string, running: Running): void {
    this.#running.delete(name);
    const ending = running.close().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #count({ name: schedule, function: called }: ScheduleConfig, outcome: RunOutcome): void {
    const key = JSON.stringify([schedule, called, outcome]);
    const known = this.#series.get(key);
    if (known === undefined) this.#series.set(key, { schedule, function: called, outcome, count: 1 });
    else known.count++;
  }
}

interface RunningOptions {
  config: ScheduleConfig;
  channel: AppChannel;
  appId: string;
  /** Longest that Envoy lets a function take. */
  deadlineMs: number;
  log: Logger;
  claims: Pick<RunClaims, 'take'>;
  count: (outcome: RunOutcome) => void;
}

/** One schedule at work. */
class Running {
  readonly config: ScheduleConfig;
  readonly #runs = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly options: RunningOptions) {
    this.config = options.config;
  }

  async begin(): Promise<void> {
    const { name, schedule, timezone } = this.config;
    const { log } = this.options;
    const timing = await readTiming(schedule, timezone);
    if ('problem' in timing) log.error({ schedule: name, reason: timing.problem }, 'a schedule is wrong');
    else this.#sleep(timing, this.#next(timing));
  }

  /** When it is due next, from now. */
  #next(timing: Timing): number | undefined {
    const now = Date.now();
    const { once } = this.config;
    // All replicas must mean the same run.
    return timing.next(once === undefined ? now : now - (now % (timing.everyMs ?? 1)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#runs);
    this.options.channel.close();
  }

  #sleep(timing: Timing, due: number | undefined): void {
    if (this.#closed || due === undefined) return;
    const left = due - Date.now();
    this.#timer = setTimeout(
      () => {
        if (Date.now() < due) return this.#sleep(timing, due);
        this.#due(due);
        // What was due while nothing ran here is not made up for.
        const next = timing.next(due);
        this.#sleep(timing, next !== undefined && next < Date.now() ? this.#next(timing) : next);
      },
      Math.max(0, Math.min(left, LONGEST_SLEEP_MS)),
    );
    this.#timer.unref();
  }

  #due(due: number): void {
    const { log, count } = this.options;
    const { name: schedule, function: called, concurrency } = this.config;
    if (this.#runs.size >= concurrency) {
      count('skipped');
      log.warn({ schedule, function: called }, 'a run is left out, because the one before is not over');
      return;
    }
    const run = this.#run(due).finally(() => this.#runs.delete(run));
    this.#runs.add(run);
  }

  /** Never throws. */
  async #run(due: number): Promise<void> {
    const { channel, appId, deadlineMs, log, count } = this.options;
    const { name: schedule, function: called, route: path, data, contentType } = this.config;
    const time = new Date(due).toISOString();
    const headers = {
      'content-type': contentType,
      'ce-specversion': '1.0',
      'ce-id': `${schedule}/${time}`,
      'ce-source': appId,
      'ce-type': 'layotto.schedule.due',
      'ce-subject': schedule,
      'ce-time': time,
    };
    const facts = { schedule, function: called };
    try {
      if (!(await this.#isOurs(time))) return count('elsewhere');
      const { status } = await channel.http({
        path,
        headers,
        body: Buffer.from(data),
        timeoutMs: deadlineMs,
      });
      const fine = status >= 200 && status < 300;
      count(fine ? 'success' : 'failure');
      if (!fine) log.warn({ ...facts, status }, 'a run of a schedule failed');
    } catch (error) {
      const away = error instanceof NotMade || (error instanceof AppError && error.kind === 'away');
      count(away ? 'missed' : 'failure');
      log.warn(
        { ...facts, reason: reasonOf(error) },
        away ? 'a run was missed' : 'a run of a schedule failed',
      );
    }
  }

  /** Whether this replica is to make a run. @throws NotMade, AppError */
  async #isOurs(time: string): Promise<boolean> {
    const { channel, claims } = this.options;
    const { name, once } = this.config;
    if (once === undefined) return true;
    // Another replica may have it.
    if (!(await isThere(channel))) throw new NotMade('there is no such function here');
    try {
      return await claims.take(once, name, time);
    } catch (error) {
      throw new NotMade(`whose run it is cannot be told: ${reasonOf(error)}`);
    }
  }
}

/** Why a run is not made here, and perhaps nowhere. */
class NotMade extends Error {}
