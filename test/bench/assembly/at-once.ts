// Answers at once: what a function costs in any case.

import { Call, Handler, serve } from 'layotto/function';

class AtOnce extends Handler {
  onRequest(call: Call): void {
    call.answer(200, 'hello');
  }
}

serve((): Handler => new AtOnce());
