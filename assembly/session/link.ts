// One gRPC stream to the bridge: dialling, greeting, and telling frames apart.

import { bytesLength } from '../host/bytes';
import { randomU64 } from '../host/clock';
import { GrpcStream, RootContext } from '../host/context';
import { Buffer } from '../host/enums';
import { release } from '../host/memory';
import { Status } from '../host/status';
import { getBuffer } from '../host/stream';
import { ByteWriter } from '../wire/bytes';
import { Frame, Hello, Kind } from '../wire/gen/layotto/bridge/v1/session';
import { literal, View } from '../wire/view';

const SERVICE = literal('layotto.bridge.v1.Bridge');
const METHOD = literal('Session');

/** How long a stream may stay without a HELLO before it is dialled again, in milliseconds. */
const HELLO_TIMEOUT_MS: i64 = 2000;
const FIRST_BACKOFF_MS: i64 = 50;
const LONGEST_BACKOFF_MS: i64 = 2000;
/** Under load a lost bridge is looked for at least this often. */
const WANTED_BACKOFF_MS: i64 = 100;

export enum LinkState {
  /** Not open; the next attempt is due at `dialAt`. */
  Idle,
  /** Open, but the bridge has not greeted yet. */
  Dialling,
  Ready,
  /** Another link has taken this one's place: results still come, nothing new is sent. */
  Draining,
}

/** Who owns links. */
export interface LinkOwner {
  /** The bridge says who it is. @returns whether it is one to talk to */
  onGreeted(link: Link, hello: Hello): bool;
  onReady(link: Link): void;
  /** The bridge would like this link to be replaced. @param atOnce it takes nothing new, replaced or not */
  onGoaway(link: Link, atOnce: bool): void;
  /** @param wasUp the bridge had greeted; false if it could not be reached at all */
  onLost(link: Link, wasUp: bool): void;
  onPush(link: Link, payload: View): void;
  /** A RESULT, FAILURE or ACK; true when the buffer was taken over and must not be released. */
  onAnswer(link: Link, frame: Frame, buffer: View): bool;
}

/** One end of `layotto.bridge.v1.Bridge/Session`. */
export class Link extends GrpcStream {
  state: LinkState = LinkState.Idle;
  /** The bridge said GOAWAY once. */
  private leaving: bool = false;
  private owner: LinkOwner | null = null;
  private dialAt: i64 = 0;
  private dialledAt: i64 = 0;
  private backoff: i64 = FIRST_BACKOFF_MS;
  private frame: Frame = new Frame();

  /**
   * @param cluster cluster to dial
   * @param hello what to greet with
   */
  constructor(
    root: RootContext,
    private readonly cluster: View,
    private readonly hello: Hello,
  ) {
    super(root);
  }

  /** Says who gets what comes in. */
  attach(owner: LinkOwner): void {
    this.owner = owner;
  }

  /** Carries large requests and results. */
  get large(): bool {
    return this.hello.large;
  }

  /** A link for this one's place, not dialled yet. */
  successor(root: RootContext, owner: LinkOwner): Link {
    const next = new Link(root, this.cluster, this.hello);
    next.attach(owner);
    return next;
  }

  /** Nothing new is sent; results still come. */
  drain(): void {
    this.state = LinkState.Draining;
  }

  /** Ends the stream and dials another with the next tick. */
  redial(): void {
    this.reset();
    this.state = LinkState.Idle;
    this.dialAt = 0;
  }

  /** Dials when it is time, and gives up on a peer that never greets. @param now monotonic milliseconds */
  tick(now: i64): void {
    if (this.state == LinkState.Dialling && now - this.dialledAt > HELLO_TIMEOUT_MS) {
      this.reset();
      this.retryLater(now);
    }
    if (this.state == LinkState.Idle && now >= this.dialAt) this.dial(now);
  }

  /** Somebody would use this link now: do not wait for the longest backoff. */
  want(now: i64): void {
    if (this.state == LinkState.Idle && this.dialAt > now + WANTED_BACKOFF_MS) {
      this.dialAt = now + WANTED_BACKOFF_MS;
    }
  }

  private dial(now: i64): void {
    if (this.open(this.cluster, SERVICE, METHOD) != Status.Ok) {
      this.retryLater(now);
      return;
    }
    this.state = LinkState.Dialling;
    this.leaving = false;
    this.dialledAt = now;
    const body = new ByteWriter();
    this.hello.encode(body);
    this.sendFrame(0, Kind.HELLO, body.view());
    body.free();
  }

  private retryLater(now: i64): void {
    this.state = LinkState.Idle;
    // Between half and all of the step, so that workers do not dial together.
    const half = this.backoff / 2;
    this.dialAt = now + half + <i64>(randomU64() % <u64>half);
    this.backoff = min(this.backoff * 2, LONGEST_BACKOFF_MS);
  }

  /** Sends a frame that carries no operation's message (those are framed in place). */
  sendFrame(id: u64, kind: i32, payload: View): void {
    const frame = this.frame;
    frame.reset();
    frame.id = id;
    frame.kind = kind;
    frame.payload = payload;
    // Not kept: nobody would give its memory back when the link is replaced.
    const writer = new ByteWriter();
    frame.encode(writer);
    this.send(writer.view());
    writer.free();
  }

  onMessage(size: u32): void {
    const buffer = getBuffer(Buffer.GrpcReceive, 0, size);
    const frame = this.frame;
    if (bytesLength(buffer) != <i32>size || !frame.decode(buffer)) {
      // Not our protocol: nothing on this stream can be trusted any more.
      release(buffer);
      this.reset();
      this.onClose(0);
      return;
    }
    let taken = false;
    if (frame.kind == Kind.RESULT || frame.kind == Kind.FAILURE || frame.kind == Kind.ACK) {
      taken = this.owner!.onAnswer(this, frame, buffer);
    } else if (frame.kind == Kind.PUSH) {
      this.owner!.onPush(this, frame.payload);
    } else if (frame.kind == Kind.HELLO) {
      if (this.state == LinkState.Dialling) {
        const greeting = new Hello();
        if (!greeting.decode(frame.payload) || !this.owner!.onGreeted(this, greeting)) {
          release(buffer);
          this.reset();
          this.onClose(0);
          return;
        }
        this.state = LinkState.Ready;
        this.backoff = FIRST_BACKOFF_MS;
        this.owner!.onReady(this);
      }
    } else if (frame.kind == Kind.PING) {
      this.sendFrame(frame.id, Kind.PONG, 0);
    } else if (frame.kind == Kind.GOAWAY && this.state != LinkState.Draining) {
      const atOnce = this.leaving || this.state != LinkState.Ready;
      this.leaving = true;
      this.owner!.onGoaway(this, atOnce);
    }
    if (!taken) release(buffer);
  }

  onClose(status: u32): void {
    const wasUp = this.state == LinkState.Ready || this.state == LinkState.Draining;
    this.retryLater(this.dialledAt);
    this.owner!.onLost(this, wasUp);
  }
}
