// The filter's end of the bridge: operations out, results in, over two links,
// so that small operations never wait behind large ones.

import { RootContext } from '../host/context';
import { monotonicMs, randomU64 } from '../host/clock';
import { Failure, Frame, Hello, Kind } from '../wire/gen/layotto/bridge/v1/session';
import { literal, View, viewLen } from '../wire/view';
import { Budget } from './budget';
import { frameAround } from './frame';
import { Link, LinkOwner, LinkState } from './link';
import { Operation, Waiter } from './operation';

/** Requests over this many bytes go on the large link; the bridge does the same with results. */
const LARGE: i32 = 64 * 1024;

/** google.rpc.Code UNAVAILABLE. */
const UNAVAILABLE: i32 = 14;
const INTERNAL: i32 = 13;

const LOST = literal('the connection to the components bridge broke before it answered');
const MALFORMED = literal('the components bridge sent a failure that cannot be read');

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

/** Everything a session needs to know at its start. */
export class SessionOptions {
  smallCluster: View = 0;
  largeCluster: View = 0;
  version: View = 0;
  configVersion: View = 0;
  appId: View = 0;
}

/** What a link greets with. */
function hello(options: SessionOptions, pairId: u64, large: bool): Hello {
  const greeting = new Hello();
  greeting.protocol = 1;
  greeting.name = literal('runtime');
  greeting.version = options.version;
  greeting.configVersion = options.configVersion;
  greeting.pairId = pairId;
  greeting.large = large;
  greeting.appId = options.appId;
  return greeting;
}

export class Session implements LinkOwner {
  private small: Link;
  private large: Link;
  /** Links that finish what they carry. */
  private draining: Array<Link> = [];
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

  constructor(
    private readonly root: RootContext,
    options: SessionOptions,
    private readonly budget: Budget,
  ) {
    const pairId = randomU64();
    const small = new Link(root, options.smallCluster, hello(options, pairId, false));
    const large = new Link(root, options.largeCluster, hello(options, pairId, true));
    this.small = small;
    this.large = large;
    small.attach(this);
    large.attach(this);
  }

  /** Both links are up: every operation can be performed. */
  get ready(): bool {
    return this.small.state == LinkState.Ready && this.large.state == LinkState.Ready;
  }

  /** Whether the link for large messages, or the other one, is up. */
  isUp(large: bool): bool {
    return (large ? this.large : this.small).state == LinkState.Ready;
  }

  /** Dials, gives up, and sends again what a broken large link may have lost. Call it from every tick. */
  tick(): void {
    const now = monotonicMs();
    if (this.waiting.length > 0) this.wantLinks(now);
    this.small.tick(now);
    this.large.tick(now);
    if (this.doubtfulUpTo != 0) this.repeatDoubtful();
    this.schedule();
  }

  private schedule(): void {
    this.root.setTickPeriod(this.ready ? TICK_UP_MS : TICK_DOWN_MS);
  }

  /** Sends an operation. The session owns its buffer from here, unless it answers Busy or NoSession. */
  submit(operation: Operation): Submitted {
    const link = this.linkFor(operation);
    if (link === null) {
      this.wantLinks(monotonicMs());
      return Submitted.NoSession;
    }
    if (!this.budget.takeOperation()) return Submitted.Busy;
    this.sendOn(link, operation);
    return Submitted.Sent;
  }

  private wantLinks(now: i64): void {
    this.small.want(now);
    this.large.want(now);
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
    this.small.reset();
    this.large.reset();
    for (let i = 0; i < this.draining.length; i++) this.draining[i].reset();
  }

  private linkFor(operation: Operation): Link | null {
    const link = viewLen(operation.payload) > LARGE ? this.large : this.small;
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
    const taken = this.deliver(operation.waiter, frame, buffer);
    // Only now: what the waiter says may still point into the request.
    this.settle(operation);
    this.retire(operation.link);
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

  onReady(link: Link): void {
    this.linksOpened++;
    const waiting = this.waiting;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i++) {
      const ready = this.linkFor(waiting[i]);
      if (ready === null) this.waiting.push(waiting[i]);
      else this.sendOn(ready, waiting[i]);
    }
    this.schedule();
  }

  onGoaway(link: Link): void {
    const next = new Link(this.root, link.target, link.greeting);
    next.attach(this);
    if (link == this.small) this.small = next;
    else if (link == this.large) this.large = next;
    else return;
    this.draining.push(link);
    this.retire(link);
    this.schedule();
  }

  onLost(link: Link, wasUp: bool): void {
    if (wasUp) this.linksLost++;
    const drained = this.draining.indexOf(link);
    if (drained >= 0) this.draining.splice(drained, 1);
    else if (link == this.large) this.doubtfulUpTo = this.nextId - 1;
    const operations = this.pending.values();
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i];
      if (operation.link == link) this.lose(operation);
    }
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
    if (waiter !== null) waiter.onFailure(UNAVAILABLE, LOST);
    this.settle(operation);
  }

  /** Results over LARGE travel on the large link, whichever asked; when only that one broke, ask again. */
  private repeatDoubtful(): void {
    const upTo = this.doubtfulUpTo;
    this.doubtfulUpTo = 0;
    if (this.small.state != LinkState.Ready) return;
    const operations = this.pending.values();
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i];
      if (operation.id > upTo || operation.link != this.small) continue;
      if (!operation.idempotent || operation.waiter === null) continue;
      this.pending.delete(operation.id);
      this.sendOn(this.small, operation);
    }
  }

  /** Ends a draining link that carries nothing any more, so that the bridge can go. */
  private retire(link: Link | null): void {
    if (link === null || link.state != LinkState.Draining) return;
    const operations = this.pending.values();
    for (let i = 0; i < operations.length; i++) if (operations[i].link == link) return;
    const at = this.draining.indexOf(link);
    if (at >= 0) this.draining.splice(at, 1);
    link.reset();
  }
}
