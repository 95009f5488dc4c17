// The root context of a listener or sidecar through which the app calls others:
// root id `outbound`, in the same VM as the runtime, whose metrics and limits
// these calls share.

import { Configuration } from '../config/configuration';
import { Background, Listener, Tally } from '../dialects/background';
import { Exchange } from '../dialects/exchange';
import { Route } from '../dialects/router';
import { HttpContext, RootContext } from '../host/context';
import { HeaderMap, LogLevel } from '../host/enums';
import { getHeader } from '../host/headers';
import { log } from '../host/log';
import { release } from '../host/memory';
import { getProperty } from '../host/properties';
import { beat, beatOnce, enterRoll, leaveRoll } from '../host/roll';
import { CallMetrics } from '../metrics/call-metrics';
import { PolicyStage } from '../policy/stage';
import { ByteWriter } from '../wire/bytes';
import { literal, View, viewEquals } from '../wire/view';
import { calleeOf, Callees } from './callees';
import { PlainCall } from './plain-call';
import { PlainDoor } from './plain-door';

const METHOD = literal(':method');
/** Known as soon as there is a route; `cluster_name` only with a connection behind it. */
const CLUSTER_NAME = literal('xds\0cluster_name');
const ROOT_ID = literal('plugin_root_id');
const OUTBOUND = literal('outbound');

/** How often counts are handed to the host, in milliseconds. */
const TICK_MS: u32 = 500;
/** Calls kept for the next streams. */
const SPARE_CALLS: i32 = 256;

/** Whether the root context that is being made is this one. */
export function isOutbound(): bool {
  const id = getProperty(ROOT_ID);
  const found = viewEquals(id, OUTBOUND);
  release(id);
  return found;
}

function plainRoute(primitive: string, operation: string, index: i32): Route {
  return new Route(index, 'outbound', primitive, operation, null, null, null);
}

/** Nothing here asks the bridge. */
class NoBackground implements Background {
  readonly tally: Tally = new Tally();

  askAlone(method: View, request: ByteWriter, listener: Listener): bool {
    return false;
  }
}

export class Outbound extends RootContext {
  private readonly routes: Array<Route> = [
    plainRoute('http', 'GET', 0),
    plainRoute('http', 'POST', 1),
    plainRoute('http', 'PUT', 2),
    plainRoute('http', 'DELETE', 3),
    plainRoute('http', 'PATCH', 4),
    plainRoute('http', 'HEAD', 5),
    plainRoute('http', 'OPTIONS', 6),
  ];
  /** For methods that are not among the others. */
  readonly other: Route;
  readonly callees: Callees;
  /** Of the call whose head is looked at. */
  readonly exchange: Exchange;
  private readonly configuration: Configuration;
  private readonly calls: CallMetrics;
  private readonly door: PlainDoor;
  private policy: PolicyStage;
  private readonly spare: Array<PlainCall> = [];

  constructor(id: u32) {
    super(id);
    const configuration = new Configuration();
    const callees = new Callees();
    const other = plainRoute('http', 'other', 7);
    this.configuration = configuration;
    this.callees = callees;
    this.other = other;
    this.calls = new CallMetrics(callees);
    this.policy = new PolicyStage(configuration);
    this.door = new PlainDoor(other);
    this.exchange = new Exchange(configuration, new NoBackground());
  }

  onConfigure(size: u32): bool {
    const text = this.readConfiguration(size);
    const problem = this.configuration.parse(text);
    release(text);
    if (problem.length > 0) {
      log(LogLevel.Error, 'layotto: the plugin configuration is refused: ' + problem);
      return false;
    }
    this.policy = new PolicyStage(this.configuration);
    enterRoll();
    this.setTickPeriod(TICK_MS);
    return true;
  }

  onTick(): void {
    beat();
    this.tell();
  }

  onDone(): void {
    this.tell();
    leaveRoll();
  }

  /** Hands the host what was counted. */
  private tell(): void {
    this.calls.flush();
    this.policy.tell();
  }

  createHttpContext(id: u32): HttpContext {
    beatOnce();
    return this.spare.length > 0 ? this.spare.pop().begin(id) : new PlainCall(id, this);
  }

  retire(call: PlainCall): void {
    if (this.spare.length < SPARE_CALLS) this.spare.push(call);
  }

  /** What the request that is looked at is counted as. */
  routeOfRequest(): Route {
    const method = getHeader(HeaderMap.RequestHeaders, METHOD);
    let found = this.other;
    for (let i = 0; i < this.routes.length; i++) {
      if (!viewEquals(this.routes[i].operationName, method)) continue;
      found = this.routes[i];
      break;
    }
    release(method);
    return found;
  }

  /** The cluster that the request's route leads to (`release` gives it back); no bytes if it leads to none. */
  cluster(): View {
    return getProperty(CLUSTER_NAME);
  }

  calleeOf(cluster: View): View {
    return calleeOf(cluster);
  }

  /** Whether the policy lets the request pass. The exchange's reply is filled in if not. */
  passes(route: Route, callee: View): bool {
    const exchange = this.exchange;
    exchange.route = route;
    return this.policy.passes(this.door, exchange, callee);
  }

  /** Counts a call that is over. */
  called(route: Route, callee: i32, code: i32, microseconds: i64): void {
    this.calls.called(route, callee, code, microseconds);
  }
}
