// Does what a function should not, as its caller asks.

import { Call, Handler, serve, StateValue } from 'layotto/function';

class Faulty extends Handler {
  onRequest(call: Call): void {
    const what = call.query('do');
    if (what == 'trap') unreachable();
    if (what == 'loop') return call.answer(200, endless(1).toString());
    if (what == 'deep') return call.answer(200, deep(1).toString());
    if (what == 'fill') return call.answer(200, fill().toString());
    if (what == 'busy') return call.answer(200, busy(1_000_000).toString());
    if (what == 'sealed' || what == 'nowhere') return call.getState(what, 'key');
    if (what == 'later') return call.getState('statestore', 'nothing');
    if (what == 'wait') return call.invoke('slow', 'GET', '/');
    if (what != 'silent') call.answer(200, 'fine');
  }

  onState(call: Call, value: StateValue): void {
    const none: Array<string> = [];
    call.answer(200, none[0]);
  }
}

function endless(from: u64): u64 {
  let i = from;
  while (i != 0) i = i * 3 + 2 - (i & 1);
  return i;
}

function deep(n: u64): u64 {
  return n == 0 ? 0 : deep(n + 1) + n;
}

function fill(): i32 {
  const all: Array<ArrayBuffer> = [];
  for (let i = 0; i < 1_000; i++) all.push(new ArrayBuffer(1 << 20));
  return all.length;
}

function busy(turns: u64): u64 {
  let sum: u64 = 0;
  for (let i: u64 = 0; i < turns; i++) sum += i ^ (sum << 1);
  return sum;
}

serve((): Handler => new Faulty());
