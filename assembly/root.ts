// The root context: what one plugin configuration runs.

import { LiveAnswers } from './cache/live-answers';
import { NearCache } from './cache/near-cache';
import { CallSite } from './call-site';
import { noteHealth } from './config/component-health';
import { Configuration } from './config/configuration';
import { Listener } from './dialects/background';
import { neededServices } from './dialects/bridge-method';
import { DaprHttpDoor } from './dialects/dapr-http';
import { takeRequest } from './dialects/exchange';
import { JSON_OPERATIONS } from './dialects/gen/json-operations';
import { GrpcDoor } from './dialects/grpc';
import { JsonDoor } from './dialects/json';
import { JsonOperation } from './dialects/json-operation';
import { Router } from './dialects/router';
import { HttpContext } from './host/context';
import { LogLevel } from './host/enums';
import { log } from './host/log';
import { release } from './host/memory';
import { beat, beatOnce, enterRoll, leaveRoll } from './host/roll';
import { RuntimeMetrics, Snapshot } from './metrics/runtime-metrics';
import { Call } from './pipeline';
import { ownPod } from './policy/identity';
import { PolicyStage } from './policy/stage';
import { Budget } from './session/budget';
import { grpcService } from './session/grpc-service';
import { Operation, Waiter } from './session/operation';
import { PushListener, Session, SessionOptions, Submitted } from './session/session';
import { ByteWriter } from './wire/bytes';
import { Invalidation, LiveAnswer, Push } from './wire/gen/layotto/bridge/v1/session';
import { VERSION } from './version';
import { View } from './wire/view';

/** While no session is up, the tick looks for one this often (milliseconds). */
const FIRST_TICK_MS: u32 = 10;

/** Enters a module's primitives in the router. */
export type Install = (router: Router) => void;

/** Calls kept for the next streams: with everything a call needs, making one is a good part of what it costs here. */
const SPARE_CALLS: i32 = 256;

/** Hands the answer to something asked in the background on to whoever wants it. */
class LoneWaiter implements Waiter {
  constructor(private readonly listener: Listener) {}

  onResult(buffer: View, payload: View): void {
    this.listener.onResult(payload);
    release(buffer);
  }

  onFailure(code: i32, message: View): void {
    this.listener.onFailure();
  }
}

/** What one plugin configuration runs: its router, its session, its budget. */
export class Runtime extends CallSite implements PushListener {
  readonly router: Router;
  private session: Session | null = null;
  private spare: Array<Call> = [];
  private metrics: RuntimeMetrics | null = null;
  private readonly snapshot: Snapshot = new Snapshot();
  private linksSaid: i64 = 0;

  /** @param operations what the JSON door knows: those of the runtime's own primitives, or of one that is none of these */
  constructor(id: u32, install: Install, operations: StaticArray<JsonOperation> = JSON_OPERATIONS) {
    const router = new Router();
    install(router);
    super(
      id,
      new GrpcDoor(router),
      new DaprHttpDoor(router),
      new JsonDoor(router, operations),
      new Configuration(),
      new Budget(0, 0),
    );
    this.router = router;
  }

  onConfigure(size: u32): bool {
    const text = this.readConfiguration(size);
    const problem = this.configuration.parse(text);
    release(text);
    if (problem.length > 0) {
      log(LogLevel.Error, 'layotto: the plugin configuration is refused: ' + problem);
      return false;
    }
    const configuration = this.configuration;
    this.policy = new PolicyStage(configuration);
    const options = new SessionOptions();
    options.smallCluster = grpcService(configuration.sessionCluster);
    options.largeCluster = grpcService(configuration.largeCluster);
    options.version = configuration.version;
    options.configVersion = configuration.configVersion;
    options.appId = configuration.appId;
    options.moduleVersion = VERSION;
    options.needs = neededServices();
    options.spiffeId = this.policy.ownId;
    options.pod = ownPod();
    this.budget = new Budget(configuration.bytes, configuration.operations);
    this.session = new Session(this, options, this.budget, this);
    if (configuration.keepsAnswers) this.cache = new NearCache(configuration);
    if (configuration.answersInEnvoy) this.live = new LiveAnswers(configuration);
    this.metrics = new RuntimeMetrics();
    enterRoll();
    this.setTickPeriod(FIRST_TICK_MS);
    return true;
  }

  onTick(): void {
    beat();
    const session = this.session;
    if (session !== null) session.tick();
    this.tell();
  }

  onDone(): void {
    const session = this.session;
    if (session !== null) session.close();
    this.forgetAnswers();
    while (this.spare.length > 0) this.spare.pop().dispose();
    this.tell();
    const metrics = this.metrics;
    if (metrics !== null) metrics.leave();
    leaveRoll();
  }

  /** Hands the host what was counted. */
  private tell(): void {
    this.calls.flush();
    this.policy.tell();
    const metrics = this.metrics;
    const session = this.session;
    if (metrics === null || session === null) return;
    const now = this.snapshot;
    now.smallLinks = session.isUp(false) ? 1 : 0;
    now.largeLinks = session.isUp(true) ? 1 : 0;
    now.linksOpened = session.linksOpened;
    now.linksLost = session.linksLost;
    this.sayLinks(now);
    now.operations = this.budget.operations;
    now.bytes = this.budget.bytes;
    now.refusedOperations = this.budget.refusedOperations;
    now.refusedBytes = this.budget.refusedBytes;
    now.refusedMessages = this.refusedMessages;
    now.streams = this.streams;
    now.refusedStreams = this.refusedStreams;
    const cache = this.cache;
    if (cache !== null) {
      now.cacheHits = cache.hits;
      now.cacheMisses = cache.misses;
      now.cacheInvalidations = cache.invalidations;
      now.cacheBytes = cache.bytes;
    }
    now.idsOfRuns = this.tally.idsOfRuns;
    now.idsOfBridge = this.tally.idsOfBridge;
    now.runs = this.tally.runs;
    const live = this.live;
    if (live !== null) {
      now.liveHits = live.hits;
      now.liveMisses = live.misses;
      now.liveSubstitutes = live.substitutes;
      now.liveBytes = live.bytes;
    }
    metrics.tell(now);
  }

  /** Says when a link to the bridge has come or gone since it was told last. */
  private sayLinks(now: Snapshot): void {
    if (now.linksOpened + now.linksLost == this.linksSaid) return;
    this.linksSaid = now.linksOpened + now.linksLost;
    const up = (now.smallLinks + now.largeLinks).toString();
    const ever = now.linksOpened.toString() + ' were opened and ' + now.linksLost.toString() + ' lost';
    this.log.say(LogLevel.Debug, 'links to the bridge that are up: ' + up + '; ' + ever);
  }

  createHttpContext(id: u32): HttpContext {
    beatOnce();
    return this.spare.length > 0 ? this.spare.pop().begin(id) : new Call(id, this);
  }

  retire(call: HttpContext): void {
    if (this.spare.length < SPARE_CALLS) this.spare.push(<Call>call);
    else (<Call>call).dispose();
  }

  get ready(): bool {
    const session = this.session;
    return session !== null && session.ready;
  }

  get started(): bool {
    const session = this.session;
    return session !== null && session.linksOpened > 0;
  }

  against(method: View): View {
    const session = this.session;
    return session === null ? 0 : session.against(method);
  }

  submit(operation: Operation): Submitted {
    const session = this.session;
    return session === null ? Submitted.NoSession : session.submit(operation);
  }

  onPush(payload: View): void {
    const push = new Push();
    // What cannot be read may have told of anything.
    if (!push.decode(payload)) {
      this.forgetAnswers();
      return;
    }
    const health = push.health;
    if (health !== null) noteHealth(this.configuration, health);
    const logging = push.logging;
    if (logging !== null) this.log.setLevel(logging.level);
    const subscriptions = push.subscriptions;
    if (subscriptions !== null)
      this.configuration.subscriptions.note(subscriptions.json, subscriptions.message);
    this.onInvalidation(push.invalidation);
    this.onLiveAnswer(push.answer);
    const live = this.live;
    const freshness = push.freshness;
    if (live !== null && freshness !== null) live.fresh(freshness.answers, freshness.ageUs, freshness.saidUs);
  }

  private forgetAnswers(): void {
    const cache = this.cache;
    if (cache !== null) cache.clear();
    const live = this.live;
    if (live !== null) live.clear();
  }

  private onLiveAnswer(answer: LiveAnswer | null): void {
    const live = this.live;
    if (live === null || answer === null) return;
    const component = this.configuration.find(answer.primitive, answer.component);
    if (component === null || component.answerInEnvoyMs == 0) return;
    if (answer.withdrawn) live.withdraw(component.index, answer.request);
    else live.put(component.index, answer.request, answer.response, answer.id, answer.ageUs, answer.saidUs);
  }

  private onInvalidation(invalidation: Invalidation | null): void {
    const cache = this.cache;
    if (cache === null || invalidation === null) return;
    const component = this.configuration.find(invalidation.primitive, invalidation.component);
    if (component === null) return;
    if (invalidation.all) cache.invalidateAll(component.index);
    for (let i = 0; i < invalidation.keys.length; i++)
      cache.invalidate(component.index, invalidation.keys[i]);
  }

  onPushesBegin(): void {
    const cache = this.cache;
    if (cache !== null) cache.clear();
    const live = this.live;
    if (live !== null) live.begin();
  }

  askAlone(method: View, request: ByteWriter, listener: Listener): bool {
    const payload = takeRequest(request);
    const waiter = new LoneWaiter(listener);
    const operation = new Operation(waiter, method, payload, payload, true, this.configuration.deadlineMs, 0);
    if (payload != 0 && this.submit(operation) == Submitted.Sent) return true;
    operation.drop();
    return false;
  }

  forget(operation: Operation): void {
    const session = this.session;
    if (session !== null) session.forget(operation);
  }
}
