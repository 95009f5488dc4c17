// Comes to the bounds of what a call may do, as its caller asks.

import { Answer, Call, Failure, Handler, serve, StateValue } from 'layotto/function';

/** More turns of a loop than pass between two looks at the clock. */
const MANY: i32 = 20_000;

class Bounded extends Handler {
  private readonly failures: Array<string> = [];
  private answers: i32 = 0;
  private sum: i32 = 0;

  constructor() {
    super();
    this.turn();
  }

  private turn(): void {
    for (let i = 0; i < MANY; i++) this.sum += i & 1;
  }

  onRequest(call: Call): void {
    const what = call.query('do');
    const count = i32(parseInt(call.query('count')));
    if (what == 'turn') {
      this.turn();
      return call.answer(200, this.sum.toString());
    }
    if (what == 'read') {
      for (let i = 0; i < count; i++) call.getState('statestore', i.toString());
      return;
    }
    if (what == 'save') return call.saveStateBytes('statestore', 'k', new ArrayBuffer(count));
    if (what == 'call') return call.callFunction('other');
    if (what == 'echo') {
      call.setHeader('x-path', call.method + ' ' + call.path);
      return call.answerWith(200, call.bytes, call.header('content-type'));
    }
    // Only the first answer counts, and nothing may be asked for behind it.
    if (what == 'twice') {
      call.answer(200, 'first');
      call.answer(500, 'second');
      call.getState('statestore', 'late');
    }
  }

  onState(call: Call, value: StateValue): void {
    this.answers++;
    if (this.answers == 64) call.answer(200, this.failures.join('\n'));
  }

  onAnswer(call: Call, answer: Answer): void {
    call.callFunction('other');
  }

  onFailure(call: Call, failure: Failure): void {
    this.failures.push(failure.subject + ': ' + failure.message);
    if (call.query('do') != 'read' || failure.code != 8) super.onFailure(call, failure);
  }
}

serve((): Handler => new Bounded());
