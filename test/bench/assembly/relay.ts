// One call of another function.

import { Answer, Call, Handler, serve } from 'layotto/function';

class Relay extends Handler {
  onRequest(call: Call): void {
    call.callFunction('at-once');
  }

  onAnswer(call: Call, answer: Answer): void {
    call.answer(answer.status, answer.text);
  }
}

serve((): Handler => new Relay());
