// The root context of a function: its configuration, its session to the bridge,
// and what its calls share.

import { Configuration } from '../config/configuration';
import { Labels } from '../config/labels';
import { Background, Listener, Tally } from '../dialects/background';
import { Code } from '../dialects/codes';
import { Exchange } from '../dialects/exchange';
import { Route } from '../dialects/router';
import { HttpContext, RootContext } from '../host/context';
import { LogLevel } from '../host/enums';
import { log } from '../host/log';
import { release } from '../host/memory';
import { CallMetrics } from '../metrics/call-metrics';
import { PolicyStage } from '../policy/stage';
import { Budget } from '../session/budget';
import { grpcService } from '../session/grpc-service';
import { Operation } from '../session/operation';
import { PushListener, Session, SessionOptions, Submitted } from '../session/session';
import { VERSION } from '../version';
import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';
import { Call } from './call';
import { Callout } from './callout';
import { FunctionDoor } from './door';
import { InFlight } from './in-flight';
import { FunctionSettings } from './settings';

/** How often counts are handed to the host while there is no session, in milliseconds. */
const TICK_MS: u32 = 500;
/** Exchanges and callouts kept for the next calls. */
const SPARES: i32 = 64;

function functionRoute(primitive: string, operation: string, index: i32): Route {
  return new Route(index, 'function', primitive, operation, null, null, null);
}

/** The components, and behind them the function itself. */
class FunctionLabels implements Labels {
  constructor(
    private readonly configuration: Configuration,
    private readonly settings: FunctionSettings,
  ) {}

  mostLabels(): i32 {
    return this.configuration.components.length + 1;
  }

  labelAt(index: i32): View {
    const components = this.configuration.components;
    return index < components.length ? components[index].name : this.settings.id;
  }
}

/** Nothing is asked here that no call waits for. */
class NoBackground implements Background {
  readonly tally: Tally = new Tally();

  askAlone(method: View, request: ByteWriter, listener: Listener): bool {
    return false;
  }
}

export class FunctionRoot extends RootContext implements PushListener {
  /** What calls of this function are counted as, and what it asks for. */
  readonly entry: Route;
  readonly getState: Route = functionRoute('state', 'GetState', 1);
  readonly saveState: Route = functionRoute('state', 'SaveState', 2);
  readonly deleteState: Route = functionRoute('state', 'DeleteState', 3);
  readonly getConfiguration: Route = functionRoute('configuration', 'GetConfiguration', 4);
  readonly publishEvent: Route = functionRoute('pubsub', 'PublishEvent', 5);
  /** Of these the callee counts, too: another function, or the runtime. */
  readonly callFunction: Route = functionRoute('function', 'AskFunction', 6);
  readonly askRuntime: Route = functionRoute('function', 'AskRuntime', 7);

  readonly settings: FunctionSettings;
  readonly configuration: Configuration;
  readonly door: FunctionDoor;
  readonly calls: CallMetrics;
  policy: PolicyStage;
  budget: Budget = new Budget(0, 0);
  inFlight: InFlight = new InFlight('', 1, 1);
  /** Of what a function asks for, while the policy is asked about it. */
  readonly asking: Exchange;
  /** What calls have that are over. */
  readonly nobody: Exchange;
  private readonly nothing: Background;
  private session: Session | null = null;
  private readonly exchanges: Array<Exchange> = [];
  private readonly callouts: Array<Callout> = [];

  constructor(id: u32) {
    super(id);
    const configuration = new Configuration();
    const settings = new FunctionSettings();
    const entry = functionRoute('function', 'CallFunction', 0);
    const nothing = new NoBackground();
    this.configuration = configuration;
    this.settings = settings;
    this.entry = entry;
    this.nothing = nothing;
    this.door = new FunctionDoor(entry);
    this.calls = new CallMetrics(new FunctionLabels(configuration, settings));
    this.policy = new PolicyStage(configuration);
    this.asking = new Exchange(configuration, nothing);
    this.nobody = new Exchange(configuration, nothing);
  }

  onConfigure(size: u32): bool {
    const text = this.readConfiguration(size);
    let problem = this.configuration.parse(text);
    if (problem.length == 0) problem = this.settings.parse(text);
    release(text);
    if (problem.length > 0) {
      log(LogLevel.Error, 'layotto: the configuration of a function is refused: ' + problem);
      return false;
    }
    const settings = this.settings;
    this.policy = new PolicyStage(this.configuration);
    this.budget = new Budget(this.configuration.bytes, this.configuration.operations);
    const key = 'layotto_function;' + this.name + ';' + settings.deadlineMs.toString();
    this.inFlight = new InFlight(key, settings.inFlight, settings.deadlineMs + 1000);
    this.setTickPeriod(TICK_MS);
    return true;
  }

  /** The function's id. */
  get name(): string {
    return String.UTF8.decodeUnsafe(<usize>(<u32>this.settings.id), <i32>(this.settings.id >> 32));
  }

  /** Where the function itself stands among the labels. */
  get ownLabel(): i32 {
    return this.configuration.components.length;
  }

  createHttpContext(id: u32): HttpContext {
    return new Call(id, this);
  }

  onTick(): void {
    const session = this.session;
    if (session !== null) session.tick();
    this.tell();
  }

  onDone(): void {
    const session = this.session;
    if (session !== null) session.close();
    this.tell();
    while (this.exchanges.length > 0) this.exchanges.pop().dispose();
    this.asking.dispose();
  }

  private tell(): void {
    this.calls.flush();
    this.policy.tell();
  }

  /** Sends an operation. The session is opened for the first one: many functions need none. */
  submit(operation: Operation): Submitted {
    let session = this.session;
    if (session === null) {
      session = this.open();
      this.session = session;
      session.tick();
    }
    return session.submit(operation);
  }

  forget(operation: Operation): void {
    const session = this.session;
    if (session !== null) session.forget(operation);
  }

  private open(): Session {
    const configuration = this.configuration;
    const options = new SessionOptions();
    options.smallCluster = grpcService(configuration.sessionCluster);
    options.largeCluster = grpcService(configuration.largeCluster);
    options.version = configuration.version;
    options.configVersion = configuration.configVersion;
    options.appId = configuration.appId;
    options.moduleVersion = VERSION;
    options.spiffeId = this.policy.ownId;
    return new Session(this, options, this.budget, this);
  }

  /** A function keeps nothing of what the bridge tells unasked. */
  onPush(payload: View): void {}

  onPushesBegin(): void {}

  exchange(): Exchange {
    return this.exchanges.length > 0 ? this.exchanges.pop() : new Exchange(this.configuration, this.nothing);
  }

  /** Takes back what a call had. */
  takeBack(exchange: Exchange): void {
    if (this.exchanges.length == SPARES) return exchange.dispose();
    exchange.free();
    this.exchanges.push(exchange);
  }

  callout(): Callout {
    return this.callouts.length > 0 ? this.callouts.pop() : new Callout(this);
  }

  spare(callout: Callout): void {
    if (this.callouts.length < SPARES) this.callouts.push(callout);
  }

  /**
   * Whether the policy lets the function have something. `asking` says why not, until `asking.free()`.
   *
   * @param component what it is of
   * @param topic no bytes if it is about none
   */
  allows(route: Route, component: View, topic: View): bool {
    const asking = this.asking;
    asking.route = route;
    if (topic != 0) asking.asksFor(topic);
    return this.policy.passes(this.door, asking, component);
  }

  /** The code of what was refused last. */
  get refusal(): i32 {
    const code = this.door.code;
    return code == 0 ? <i32>Code.INTERNAL : code;
  }
}
