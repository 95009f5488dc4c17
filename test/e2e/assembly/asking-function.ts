// Asks for whatever a function may ask for, as its caller wants, and answers with what came of it.

import { Answer, Call, ConfigurationValue, Failure, Handler, serve, StateValue } from 'layotto/function';

class Asking extends Handler {
  /** Another function is asked once the state is there. */
  private chained: bool = false;

  onRequest(call: Call): void {
    const what = call.query('do');
    const whom = call.query('of');
    const name = call.query('name');
    if (what == 'get') return call.getState(whom, name);
    if (what == 'save') return call.saveState(whom, name, call.body, call.query('etag'));
    if (what == 'delete') return call.deleteState(whom, name, call.query('etag'));
    if (what == 'configuration') return call.getConfiguration(whom, name.split(','));
    if (what == 'publish') return call.publish(whom, name, call.body, call.header('content-type'));
    if (what == 'invoke') return call.invoke(whom, call.method, name, call.body, 'text/x-test');
    if (what == 'function') return call.callFunction(whom, name, call.body);
    if (what == 'runtime') return call.runtime(whom, call.method, name, call.body);
    if (what == 'many') {
      for (let i = 0, n = <i32>parseInt(name); i < n; i++) call.getState(whom, i.toString());
      return;
    }
    if (what == 'chain') {
      this.chained = turns();
      return call.getState(whom, name);
    }
    call.answer(400, 'do what?');
  }

  onState(call: Call, value: StateValue): void {
    if (this.chained && turns()) return call.callFunction('other');
    call.answer(value.found ? 200 : 404, value.etag + ' ' + value.text);
  }

  onSaved(call: Call, key: string): void {
    call.answer(201, 'saved ' + key);
  }

  onDeleted(call: Call, key: string): void {
    call.answer(200, 'deleted ' + key);
  }

  onConfiguration(call: Call, values: Array<ConfigurationValue>): void {
    let text = '';
    for (let i = 0; i < values.length; i++) text += values[i].key + '=' + values[i].content + '\n';
    call.answer(200, text);
  }

  onPublished(call: Call, id: string): void {
    call.answer(202, id);
  }

  onAnswer(call: Call, answer: Answer): void {
    call.setHeader('x-type', answer.contentType);
    call.answer(answer.status, answer.from + ' says ' + answer.text);
  }

  onFailure(call: Call, failure: Failure): void {
    const what = failure.operation + ' of ' + failure.subject;
    call.answer(failure.status, what + ' (' + failure.code.toString() + '): ' + failure.message);
  }
}

/** More of them than go by between two looks at the clock. */
function turns(): bool {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < 20_000; i++) sum = sum * 3 + i;
  return sum != 0;
}

serve((): Handler => new Asking());
