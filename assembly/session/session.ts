// The filter's end of the bridge: operations out, results in, over two links,
// so that small operations never wait behind large ones.

import { RootContext } from '../host/context';
import { monotonicMs, randomU64 } from '../host/clock';
import { Failure, Frame, Hello, Kind } from '../wire/gen/layotto/bridge/v1/session';
import { literal, View, viewLen } from '../wire/view';
import { Budget } from './budget';
import { frameAround } from './frame';
import { Fitness, PROTOCOL } from './fitness';
import { Link, LinkOwner, LinkState } from './link';
import { LinkPair } from './link-pair';
import { Operation, Waiter } from './operation';

/** Requests over this many bytes go on the large link; the bridge does the same with results. */
const LARGE: i32 = 64 * 1024;

/** google.rpc.Code UNAVAILABLE. */
const UNAVAILABLE: i32 = 14;
const FAILED_PRECONDITION: i32 = 9;
const INTERNAL: i32 = 13;

const LOST = literal('the connection to the components bridge broke before it answered');
const NOT_CONNECTED = literal('the components bridge is not connected; calls are refused until it is back');
const MALFORMED = literal('the components bridge sent a failure that cannot be read');

/**
 * How long a call may wait for a filter's first links, in milliseconds. A new configuration is a new root context,
 * which dials while calls come already.
 */
const PATIENCE_MS: i64 = 1000;

/** Tick while a link is down, and while all are up, in milliseconds. */
const TICK_DOWN_MS: u32 = 50;
const TICK_UP_MS: u32 = 500;

export enum Submitted {
  Sent,
  /** No bridge: refuse the call. */
  NoSession,
  /** Too many operations under way. */
  Busy,
}

/** Who hears of what the bridge tells unasked. */
export interface PushListener {
  /** @param payload a Push message; valid during the call only */
  onPush(payload: View): void;

  /** From here on another link tells of changes: what changed before it was there, nobody will tell. */
  onPushesBegin(): void;
}

/** Everything a session needs to know at its start. */
export class SessionOptions {
  smallCluster: View = 0;
  largeCluster: View = 0;
  version: View = 0;
  configVersion: View = 0;
  appId: View = 0;
  /** The module's own version, and the bridge's services that it calls. */
  moduleVersion: string = '';
  needs: Array<string> = [];
  /** Of the workload it is beside; no bytes if it has none, or nobody asks. */
  spiffeId: View = 0;
  /** The pod it is in; no bytes outside one. */
  pod: View = 0;
}

/** What a link greets with. */
function hello(options: SessionOptions, pairId: u64, large: bool): Hello {
  const greeting = new Hello();
  greeting.protocol = PROTOCOL;
  greeting.name = literal('runtime');
  greeting.version = options.version;
  greeting.configVersion = options.configVersion;
  greeting.pairId = pairId;
  greeting.large = large;
  greeting.appId = options.appId;
  greeting.spiffeId = options.spiffeId;
  greeting.pod = options.pod;
  return greeting;
}

export class Session implements LinkOwner {
  private links: LinkPair;
  /** After GOAWAY: takes the place of `links` once it is ready, so that there is always one to send on. */
  private next: LinkPair | null = null;
  /** Links that finish what they carry. */
  private draining: Array<LinkPair> = [];
  private pending: Map<u64, Operation> = new Map<u64, Operation>();
  /** Idempotent operations of a broken link, waiting for the next one. */
  private waiting: Array<Operation> = [];
  private nextId: u64 = 1;
  /** Set when the large link broke: operations up to this id may have lost their result with it. */
  private doubtfulUpTo: u64 = 0;
  private failure: Failure = new Failure();
  /** Links that were greeted, and links that broke, since the session began. */
  linksOpened: i64 = 0;
  linksLost: i64 = 0;
  /** Until then calls wait for the first links, monotonic milliseconds; 0 once there were any. */
  private patientUntil: i64 = monotonicMs() + PATIENCE_MS;
  /** What the bridge lacks that operations go to. */
  private fitness: Fitness;

  constructor(
    private readonly root: RootContext,
    options: SessionOptions,
    private readonly budget: Budget,
    private readonly listener: PushListener,
  ) {
    this.fitness = new Fitness(options.moduleVersion, options.needs);
    const pairId = randomU64();
    const small = new Link(root, options.smallCluster, hello(options, pairId, false));
    const large = new Link(root, options.largeCluster, hello(options, pairId, true));
    this.links = new LinkPair(small, large);
    small.attach(this);
    large.attach(this);
  }

  /** Every operation can be performed. */
  get ready(): bool {
    return this.links.ready;
  }

  /** Whether the link for large messages, or the other one, is up. */
  isUp(large: bool): bool {
    return (large ? this.links.large : this.links.small).state == LinkState.Ready;
  }

  /** Dials, gives up, and sends again what a broken large link may have lost. Call it from every tick. */
  tick(): void {
    const now = monotonicMs();
    if (this.waiting.length > 0) this.links.want(now);
    this.links.tick(now);
    const next = this.next;
    if (next !== null) next.tick(now);
    if (this.doubtfulUpTo != 0) this.repeatDoubtful();
    if (this.patientUntil != 0 && now >= this.patientUntil) this.losePatience();
    this.schedule();
  }

  /** The first links did not come: refuses what waits for them. */
  private losePatience(): void {
    this.patientUntil = 0;
    const waiting = this.waiting;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i++) {
      const operation = waiting[i];
      if (operation.repeated) this.waiting.push(operation);
      else this.fail(operation, UNAVAILABLE, NOT_CONNECTED);
    }
  }

  /** Why the bridge cannot perform a method; no bytes if it can. */
  against(method: View): View {
    return this.fitness.against(method);
  }

  onGreeted(link: Link, hello: Hello): bool {
    // A bridge that is to take over says it when it does.
    if (!this.links.has(link)) return hello.protocol == PROTOCOL;
    if (this.fitness.judge(hello)) return true;
    const waiting = this.waiting;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i++) this.fail(waiting[i], FAILED_PRECONDITION, this.fitness.refusal);
    return false;
  }

  private schedule(): void {
    this.root.setTickPeriod(this.ready && this.next === null ? TICK_UP_MS : TICK_DOWN_MS);
  }

  /** Sends an operation. The session owns its buffer from here, unless it answers Busy or NoSession. */
  submit(operation: Operation): Submitted {
    const link = this.linkFor(operation);
    if (link === null && !this.patient(monotonicMs())) return Submitted.NoSession;
    if (!this.budget.takeOperation()) return Submitted.Busy;
    if (link !== null) this.sendOn(link, operation);
    else this.waiting.push(operation);
    return Submitted.Sent;
  }

  /** Whether a call may wait for the first links of a filter that was just configured. */
  private patient(now: i64): bool {
    this.links.want(now);
    return now < this.patientUntil;
  }

  /** The waiter is gone. What was sent still counts until the bridge has taken it in. */
  forget(operation: Operation): void {
    operation.waiter = null;
    operation.traceparent = 0;
    const at = this.waiting.indexOf(operation);
    if (at >= 0) {
      this.waiting.splice(at, 1);
      this.settle(operation);
      return;
    }
    operation.drop();
    const link = operation.link;
    if (link !== null) link.sendFrame(operation.id, Kind.CANCEL, 0);
  }

  /** Closes every link; nothing waits any more. */
  close(): void {
    this.links.reset();
    const next = this.next;
    if (next !== null) next.reset();
    for (let i = 0; i < this.draining.length; i++) this.draining[i].reset();
  }

  private linkFor(operation: Operation): Link | null {
    const links = this.links;
    const link = viewLen(operation.payload) > LARGE ? links.large : links.small;
    return link.state == LinkState.Ready ? link : null;
  }

  private sendOn(link: Link, operation: Operation): void {
    operation.id = this.nextId++;
    operation.link = link;
    this.pending.set(operation.id, operation);
    const frame = frameAround(
      operation.payload,
      operation.id,
      Kind.REQUEST,
      operation.deadlineMs,
      operation.method,
      operation.traceparent,
    );
    link.send(frame);
    // What cannot be sent twice need not be kept: the host has its own copy now.
    if (!operation.idempotent) operation.drop();
  }

  /** The bridge has answered, or will not: nothing of the operation is held any more. */
  private settle(operation: Operation): void {
    this.budget.operations--;
    this.budget.give(operation.charged);
    operation.charged = 0;
    operation.drop();
  }

  onAnswer(link: Link, frame: Frame, buffer: View): bool {
    if (!this.pending.has(frame.id)) return false;
    const operation = this.pending.get(frame.id);
    if (frame.kind == Kind.ACK) {
      this.budget.give(operation.charged);
      operation.charged = 0;
      return false;
    }
    this.pending.delete(frame.id);
    operation.bridgeUs = frame.bridgeUs;
    operation.backendUs = frame.backendUs;
    operation.keepable = link == this.links.small;
    const taken = this.deliver(operation.waiter, frame, buffer);
    // Only now: what the waiter says may still point into the request.
    this.settle(operation);
    const sent = operation.link;
    if (sent !== null && sent.state == LinkState.Draining) this.retire();
    return taken;
  }

  private deliver(waiter: Waiter | null, frame: Frame, buffer: View): bool {
    if (waiter === null) return false;
    if (frame.kind == Kind.RESULT) {
      waiter.onResult(buffer, frame.payload);
      return true;
    }
    const failure = this.failure;
    if (failure.decode(frame.payload) && failure.code > 0) waiter.onFailure(failure.code, failure.message);
    else waiter.onFailure(INTERNAL, MALFORMED);
    return false;
  }

  onPush(link: Link, payload: View): void {
    // Those of the next links tell where components stand before they are asked; what else they tell does no harm.
    const next = this.next;
    if (link == this.links.small || (next !== null && link == next.small)) this.listener.onPush(payload);
  }

  onReady(link: Link): void {
    this.linksOpened++;
    const next = this.next;
    if (next !== null && next.ready) this.handOver(next);
    if (link == this.links.small) this.listener.onPushesBegin();
    if (this.links.ready) this.patientUntil = 0;
    const waiting = this.waiting;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i++) {
      const ready = this.linkFor(waiting[i]);
      if (ready === null) this.waiting.push(waiting[i]);
      else this.sendOn(ready, waiting[i]);
    }
    this.schedule();
  }

  onGoaway(link: Link, atOnce: bool): void {
    let next = this.next;
    if (next !== null && next.has(link)) {
      // That bridge goes before it had its turn.
      link.redial();
    } else {
      if (next === null) next = this.links.successor(this.root, this);
      this.next = next;
      if (atOnce && this.links.has(link)) this.handOver(next);
    }
    this.schedule();
  }

  private handOver(next: LinkPair): void {
    const old = this.links;
    this.links = next;
    this.listener.onPushesBegin();
    this.next = null;
    old.drain();
    this.draining.push(old);
    this.retire();
  }

  onLost(link: Link, wasUp: bool): void {
    if (wasUp) this.linksLost++;
    const next = this.next;
    const dialled = next !== null && next.has(link);
    // It may have carried results of operations that a small link sent.
    if (link.large && !dialled) this.doubtfulUpTo = this.nextId - 1;
    const operations = this.pending.values();
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i];
      if (operation.link == link) this.lose(operation);
    }
    this.retire();
    this.schedule();
  }

  private lose(operation: Operation): void {
    this.pending.delete(operation.id);
    operation.link = null;
    const waiter = operation.waiter;
    if (waiter !== null && operation.idempotent && !operation.repeated) {
      operation.repeated = true;
      this.waiting.push(operation);
      return;
    }
    this.fail(operation, UNAVAILABLE, LOST);
  }

  private fail(operation: Operation, code: i32, message: View): void {
    const waiter = operation.waiter;
    if (waiter !== null) waiter.onFailure(code, message);
    this.settle(operation);
  }

  /** Results over LARGE travel on the large link, whichever asked; when only that one broke, ask again. */
  private repeatDoubtful(): void {
    const small = this.links.small;
    if (small.state != LinkState.Ready) return;
    const upTo = this.doubtfulUpTo;
    this.doubtfulUpTo = 0;
    const operations = this.pending.values();
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i];
      const link = operation.link;
      if (operation.id > upTo || link === null || link.large) continue;
      if (!operation.idempotent || operation.waiter === null) continue;
      this.pending.delete(operation.id);
      this.sendOn(small, operation);
    }
  }

  /** Ends draining links that carry nothing any more, so that their bridge can go. */
  private retire(): void {
    const operations = this.pending.values();
    for (let at = this.draining.length - 1; at >= 0; at--) {
      const links = this.draining[at];
      let busy = false;
      for (let i = 0; i < operations.length && !busy; i++) busy = links.has(operations[i].link);
      if (busy) continue;
      this.draining.splice(at, 1);
      links.reset();
    }
  }
}
