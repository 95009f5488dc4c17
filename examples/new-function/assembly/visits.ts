// Counts visits: POST / with a name counts one, GET /?name=NAME says how many there were.

import { Call, Failure, Handler, serve, StateValue } from 'layotto/function';

const STORE = 'statestore';
const ABORTED: i32 = 10;

class Visits extends Handler {
  private name: string = '';
  private count: i32 = 0;

  onRequest(call: Call): void {
    this.name = call.method == 'POST' ? call.body : call.query('name');
    if (this.name.length == 0) return call.answer(400, 'who visits? POST a name\n');
    call.getState(STORE, this.name);
  }

  onState(call: Call, value: StateValue): void {
    this.count = value.found ? <i32>parseInt(value.text) : 0;
    if (call.method != 'POST') return this.say(call);
    this.count++;
    call.saveState(STORE, this.name, this.count.toString(), value.etag);
  }

  onSaved(call: Call, key: string): void {
    this.say(call);
  }

  onFailure(call: Call, failure: Failure): void {
    // Somebody else was faster: once more, with what is there now.
    if (failure.code == ABORTED) return call.getState(STORE, this.name);
    call.answer(failure.status, failure.message);
  }

  private say(call: Call): void {
    call.answer(200, this.name + ' was here ' + this.count.toString() + ' times\n');
  }
}

serve((): Handler => new Visits());
