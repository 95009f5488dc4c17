// Makes garbage in every call, and keeps a little between calls.

import { Call, Handler, serve } from 'layotto/function';

const names = new Map<string, i32>();

class Wasteful extends Handler {
  onRequest(call: Call): void {
    const name = call.query('name');
    names.set(name, names.has(name) ? names.get(name) + 1 : 1);
    let text = '';
    for (let i = 0; i < 256; i++) text += name + ';';
    call.answer(
      200,
      names.get(name).toString() + ' of ' + names.size.toString() + ' ' + text.length.toString(),
    );
  }
}

serve((): Handler => new Wasteful());
