// id_1: says how many of a book there are. It asks id_2 for the number.

import { Answer, Call, Handler, serve } from 'layotto/function';

class Inventory extends Handler {
  private name: string = '';

  onRequest(call: Call): void {
    this.name = call.query('name');
    if (this.name.length == 0) return call.answer(400, 'name a book: ?name=book1\n');
    call.callFunction('id_2', '/?name=' + encodeURIComponent(this.name));
  }

  onAnswer(call: Call, answer: Answer): void {
    if (answer.status != 200) return call.answer(answer.status, answer.text);
    call.answer(200, 'There are ' + answer.text + ' inventories for ' + this.name + '.\n');
  }
}

serve((): Handler => new Inventory());
