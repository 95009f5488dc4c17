// Loops before anybody has called it: its start ends in a trap.

import { Call, Handler, serve } from 'layotto/function';

let turns: u64 = 1;
while (turns != 0) turns = turns * 3 + 2 - (turns & 1);

class Never extends Handler {
  onRequest(call: Call): void {
    call.answer(200, turns.toString());
  }
}

serve((): Handler => new Never());
