// Something that a function has asked for and waits for.

import { Code } from '../dialects/codes';
import { UNREADABLE } from '../dialects/handler';
import { Route } from '../dialects/router';
import { monotonicUs } from '../host/clock';
import { release } from '../host/memory';
import { Operation, Waiter } from '../session/operation';
import { View, viewToString } from '../wire/view';
import { Call } from './call';
import { Handler } from './handler';
import { Failure } from './results';

/** What is asked, and what is done with the answer. */
export abstract class Ask implements Waiter {
  readonly started: i64 = monotonicUs();
  /** Where its component stands in the configuration, see CallMetrics. */
  component: i32 = 0;
  /** Null once it is answered, and while it was not sent. */
  operation: Operation | null = null;
  private failure: Failure | null = null;

  constructor(
    readonly call: Call,
    readonly route: Route,
    /** What it is about, for people. */
    readonly subject: string,
  ) {}

  /** Hands the answer to the function. @param payload good during the call only @returns false if it cannot be read */
  protected abstract hand(handler: Handler, payload: View): bool;

  onResult(buffer: View, payload: View): void {
    this.operation = null;
    const call = this.call;
    if (!call.resume(this, <i32>Code.OK)) {
      release(buffer);
      return;
    }
    if (this.hand(call.handler!, payload)) release(buffer);
    else {
      release(buffer);
      this.tell(new Failure(this.route.operation, this.subject, Code.INTERNAL, viewToString(UNREADABLE)));
    }
    call.settle();
  }

  onFailure(code: i32, message: View): void {
    this.operation = null;
    const failure = new Failure(this.route.operation, this.subject, code, viewToString(message));
    if (!this.call.resume(this, code)) return;
    this.tell(failure);
    this.call.settle();
  }

  /** It was not sent: the function is told when its method returns. */
  refuse(code: i32, message: string): void {
    this.failure = new Failure(this.route.operation, this.subject, code, message);
    this.call.refused(this, code);
  }

  /** Tells the function of what was refused. */
  tellRefusal(): void {
    const failure = this.failure;
    if (failure !== null) this.tell(failure);
  }

  protected tell(failure: Failure): void {
    this.call.handler!.onFailure(this.call, failure);
  }
}
