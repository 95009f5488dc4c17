// How a call is answered out of Envoy's memory or by the bridge.

import { AnsweredCall, Stage } from './call-reply';
import { Code } from './dialects/codes';
import { bytes, bytesPtr } from './host/bytes';
import { monotonicUs } from './host/clock';
import { Action } from './host/enums';
import { release } from './host/memory';
import { BUSY, NO_SESSION, RESULT_TOO_LARGE } from './refusals';
import { isTraceparent } from './session/frame';
import { Operation, Waiter } from './session/operation';
import { Submitted } from './session/session';
import { parseTimeout } from './wire/grpc';
import { literal, View, viewLen } from './wire/view';

const GRPC_TIMEOUT = literal('grpc-timeout');
const TRACEPARENT = literal('traceparent');
/** How old a configuration is that was read, in milliseconds. */
const AGE = literal('layotto-configuration-age');

/** A call that may ask. */
export abstract class AskingCall extends AnsweredCall implements Waiter {
  private operation: Operation | null = null;

  /** Answers a read out of Envoy's memory, if that is allowed and there is something good. */
  protected answerFromCache(): bool {
    const cache = this.runtime.cache;
    const exchange = this.exchange;
    const component = exchange.component;
    if (cache === null || component === null) return false;
    this.cached.writes(cache, component, exchange.writtenKeys);
    if (exchange.cacheKey == 0) return false;
    return this.give(this.cached.find(cache, component, exchange.cacheKey, this.started));
  }

  /** Answers a read by what the bridge keeps up to date. @param substitute the bridge cannot answer */
  protected answerLive(substitute: bool): bool {
    const live = this.runtime.live;
    const exchange = this.exchange;
    const component = exchange.component;
    if (live === null || component === null || exchange.liveRequest == 0) return false;
    const now = monotonicUs();
    if (!this.give(this.live.find(live, component, exchange.liveRequest, now, substitute))) return false;
    this.tellAge(this.live.ageMs);
    return true;
  }

  /** Answers with a message out of Envoy's memory; false if there is none. */
  private give(message: View): bool {
    if (message == 0) return false;
    const exchange = this.exchange;
    if (this.charge(viewLen(message))) exchange.handler!.onResult(exchange, message);
    else exchange.handler!.onFailure(exchange, Code.RESOURCE_EXHAUSTED, BUSY);
    return true;
  }

  private tellAge(ms: i64): void {
    const w = this.exchange.writer();
    w.decimal(ms);
    this.exchange.reply.headers.add(AGE, w.view());
  }

  protected ask(): Action {
    const exchange = this.exchange;
    const lack = this.runtime.against(exchange.operation);
    if (lack != 0) {
      exchange.handler!.onGone();
      this.door.refuse(exchange, Code.FAILED_PRECONDITION, lack);
      return this.respond();
    }
    const built = exchange.hasBuilt;
    let payload = exchange.takeRequest();
    let buffer = payload;
    if (built && payload == 0) {
      this.runtime.refusedMessages++;
      this.door.tooLarge(exchange);
      return this.respond();
    }
    if (!built) {
      payload = exchange.body;
      buffer = exchange.disown();
    } else {
      // The message was built from the body, which is not needed any more.
      exchange.own(0);
      this.runtime.budget.give(this.charged);
      this.charged = 0;
      if (!this.charge(viewLen(payload))) {
        release(buffer);
        return this.fail(Code.RESOURCE_EXHAUSTED, BUSY);
      }
    }
    const traceparent = exchange.headers.get(TRACEPARENT);
    const operation = new Operation(
      this,
      exchange.operation,
      buffer,
      payload,
      exchange.idempotent,
      this.deadline(),
      isTraceparent(traceparent) ? traceparent : 0,
    );
    operation.charged = this.charged;
    const submitted = this.runtime.submit(operation);
    if (submitted == Submitted.Sent) {
      this.charged = 0;
      this.operation = operation;
      this.stage = Stage.Asking;
      return Action.Pause;
    }
    // The session made the root context effective.
    this.activate();
    const action =
      submitted == Submitted.Busy
        ? this.fail(Code.RESOURCE_EXHAUSTED, BUSY)
        : this.fail(Code.UNAVAILABLE, NO_SESSION);
    operation.drop();
    return action;
  }

  /** Milliseconds the caller waits: its grpc-timeout, or the default. */
  private deadline(): u32 {
    const timeout = this.exchange.headers.get(GRPC_TIMEOUT);
    if (timeout != 0) {
      const ms = parseTimeout(timeout);
      if (ms > 0 && ms < <i64>u32.MAX_VALUE) return <u32>ms;
    }
    return this.runtime.configuration.deadlineMs;
  }

  private fail(code: i32, message: View): Action {
    if (code == Code.UNAVAILABLE && this.answerLive(true)) return this.respond();
    this.exchange.handler!.onFailure(this.exchange, code, message);
    return this.respond();
  }

  // The bridge's answer

  onResult(buffer: View, payload: View): void {
    const keepable = this.answered();
    if (!this.activate()) {
      release(buffer);
      return;
    }
    const size = viewLen(payload);
    // An empty message has no place of its own in the frame, but its answer needs the room in front.
    const message = size == 0 ? bytes(bytesPtr(buffer), 0) : payload;
    const tooLarge = size > this.runtime.configuration.messageBytes;
    if (tooLarge || !keepable || !this.keep(buffer, message)) this.exchange.own(buffer);
    if (tooLarge) {
      this.runtime.refusedMessages++;
      this.fail(Code.RESOURCE_EXHAUSTED, RESULT_TOO_LARGE);
    } else if (!this.charge(size)) this.fail(Code.RESOURCE_EXHAUSTED, BUSY);
    else {
      this.exchange.handler!.onResult(this.exchange, message);
      if (this.exchange.liveRequest != 0) this.tellAge(0);
      this.respond();
    }
  }

  onFailure(code: i32, message: View): void {
    this.answered();
    if (this.activate()) this.fail(code, message);
  }

  /** The operation is over. @returns whether its result may be kept */
  private answered(): bool {
    const operation = this.operation;
    this.operation = null;
    if (operation === null) return false;
    this.bridgeUs = operation.bridgeUs;
    this.backendUs = operation.backendUs;
    const cache = this.runtime.cache;
    const component = this.exchange.component;
    if (cache !== null && component !== null) this.cached.written(cache, component);
    const live = this.runtime.live;
    if (live !== null && component !== null && this.exchange.liveWrite) live.written(component.index);
    return operation.keepable;
  }

  /** Keeps a result for the next who asks; false if it is not kept, and the buffer is still the call's. */
  private keep(buffer: View, message: View): bool {
    const cache = this.runtime.cache;
    const exchange = this.exchange;
    const component = exchange.component;
    if (cache === null || component === null || exchange.cacheKey == 0) return false;
    return this.cached.keep(cache, component, exchange.cacheKey, buffer, message, this.started);
  }

  /** The caller has gone: nobody waits for what the bridge was asked. */
  protected abandon(): void {
    const operation = this.operation;
    if (operation === null) return;
    this.operation = null;
    this.exchange.handler!.onGone();
    this.runtime.forget(operation);
  }
}
