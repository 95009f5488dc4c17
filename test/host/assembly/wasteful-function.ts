// Makes garbage in every call, and keeps a little between calls.

import { Call, Handler, serve } from 'layotto/function';

const names = new Map<string, i32>();
/** Calls whose text was another one after a line was logged. */
let damaged: i32 = 0;

class Wasteful extends Handler {
  onRequest(call: Call): void {
    const name = call.query('name');
    if (name.length == 0) return call.answer(200, damaged.toString());
    names.set(name, names.has(name) ? names.get(name) + 1 : 1);
    let text = '';
    for (let i = 0; i < 256; i++) text += name + ';';
    call.log('the host may call back before this returns');
    // Takes memory, if some was given back.
    const same = (name + ';').repeat(256);
    if (text != same) damaged++;
    call.answer(
      200,
      names.get(name).toString() + ' of ' + names.size.toString() + ' ' + text.length.toString(),
    );
  }
}

serve((): Handler => new Wasteful());
