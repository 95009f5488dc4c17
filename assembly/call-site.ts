// What a call needs of the root context it belongs to.

import { LiveAnswers } from './cache/live-answers';
import { NearCache } from './cache/near-cache';
import { Configuration } from './config/configuration';
import { Background, Listener, Tally } from './dialects/background';
import { Door } from './dialects/door';
import { Route } from './dialects/router';
import { HttpContext, RootContext } from './host/context';
import { LogLevel } from './host/enums';
import { ByteWriter } from './wire/bytes';
import { CallMetrics } from './metrics/call-metrics';
import { FilterLog } from './metrics/filter-log';
import { PolicyStage } from './policy/stage';
import { Budget } from './session/budget';
import { Operation } from './session/operation';
import { Submitted } from './session/session';
import { View } from './wire/view';

export abstract class CallSite extends RootContext implements Background {
  readonly calls: CallMetrics;
  readonly log: FilterLog = new FilterLog();
  /** What every call and stream passes; made anew when the configuration has been read. */
  policy: PolicyStage;
  /** Messages and bodies refused for their length, either way. */
  refusedMessages: i64 = 0;
  /** Streams that are passed on now, and those refused because there were too many. */
  streams: i32 = 0;
  refusedStreams: i64 = 0;
  /** Answers kept in Envoy; null if no component wants that. */
  cache: NearCache | null = null;
  /** Answers that the bridge keeps up to date; null if no component wants that. */
  live: LiveAnswers | null = null;

  constructor(
    id: u32,
    readonly grpcDoor: Door,
    readonly httpDoor: Door,
    readonly jsonDoor: Door,
    public configuration: Configuration,
    public budget: Budget,
  ) {
    super(id);
    this.calls = new CallMetrics(configuration);
    this.policy = new PolicyStage(configuration);
  }

  readonly tally: Tally = new Tally();

  /**
   * Counts a call or stream that is over, and says so if that is wanted.
   *
   * @param component index in the configuration, NO_COMPONENT or UNKNOWN_COMPONENT
   * @param code what the caller got: a google.rpc.Code, or an HTTP status
   */
  called(route: Route, component: i32, code: i32, microseconds: i64): void {
    this.calls.called(route, component, code, microseconds);
    if (!this.log.says(LogLevel.Debug)) return;
    const name = component >= 0 ? this.configuration.labelAt(component) : 0;
    this.log.called(route, name, component, code, microseconds);
  }

  /** Asks the bridge for something that no call waits for. */
  abstract askAlone(method: View, request: ByteWriter, listener: Listener): bool;

  /** The bridge can be asked. */
  abstract get ready(): bool;

  /** The bridge could be asked at some time. */
  abstract get started(): bool;

  /** Why the bridge cannot perform a method; no bytes if it can, or nothing is known. */
  abstract against(method: View): View;

  /** Sends an operation to the bridge. */
  abstract submit(operation: Operation): Submitted;

  /** Nobody waits for an operation any more. */
  abstract forget(operation: Operation): void;

  /** Calls that pass to their callees, kept for the next ones. */
  readonly invoked: Array<HttpContext> = [];

  /** The call is over; it may serve another stream. */
  abstract retire(call: HttpContext): void;
}
