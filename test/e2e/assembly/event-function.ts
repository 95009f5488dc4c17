// Notes each event in the state store: how often it came, and what was known of it. Tells an app of runs that are to be
// made once.

import { Answer, Call, Handler, serve, StateValue } from 'layotto/function';

class Events extends Handler {
  private key: string = '';
  private times: i32 = 0;

  onRequest(call: Call): void {
    if (call.path == '/once') return call.invoke('shop', 'POST', '/once', call.header('ce-id'));
    const name = call.path == '/dead' ? 'dead' : call.header('id');
    this.key = name + ' ' + call.body;
    call.getState('statestore', this.key);
  }

  onAnswer(call: Call, answer: Answer): void {
    call.answer(answer.status, '');
  }

  onState(call: Call, value: StateValue): void {
    this.times = value.found ? <i32>parseInt(value.text) + 1 : 1;
    let text = this.times.toString() + ' ' + call.method + ' ' + call.path;
    const names = [
      'content-type',
      'ce-specversion',
      'ce-topic',
      'ce-pubsubname',
      'ce-type',
      'ce-id',
      'ce-source',
    ];
    for (let i = 0; i < names.length; i++) text += ' ' + call.header(names[i]);
    call.saveState('statestore', this.key, text);
  }

  onSaved(call: Call, key: string): void {
    if (call.body.startsWith('trap once') && this.times == 1) unreachable();
    call.answer(call.body.startsWith('fail') && call.path != '/dead' ? 500 : 200, '');
  }
}

serve((): Handler => new Events());
