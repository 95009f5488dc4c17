// id_2: how many of a book the state store has.

import { Call, Handler, serve, StateValue } from 'layotto/function';

class Stock extends Handler {
  onRequest(call: Call): void {
    call.getState('statestore', call.query('name'));
  }

  onState(call: Call, stock: StateValue): void {
    if (stock.found) call.answer(200, stock.text);
    else call.answer(404, 'there is no ' + stock.key + '\n');
  }
}

serve((): Handler => new Stock());
