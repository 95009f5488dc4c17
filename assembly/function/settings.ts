// What a function's plugin configuration says beside the runtime's own: which
// function it is, and its limits.

import { FieldReader } from '../config/field-reader';
import { JsonKind } from '../wire/json';
import { literal, View, viewEquals, viewLen } from '../wire/view';

const K_FUNCTION = literal('function');
const K_ID = literal('id');
const K_BODY_BYTES = literal('bodyBytes');
const K_IN_FLIGHT = literal('inFlight');
const K_TURN = literal('turnMs');
const K_DEADLINE = literal('deadlineMs');

export class FunctionSettings {
  /** By which it is called. */
  id: View = 0;
  /** Longest body of a call, in bytes. */
  bodyBytes: i32 = 1024 * 1024;
  /** Calls at the same time, in all threads of this Envoy together. */
  inFlight: i32 = 100;
  /** How long a call may take, in milliseconds. The route ends it; what the function asks for waits no longer. */
  deadlineMs: i32 = 15000;

  /** How long one method of the function may run without a pause, in milliseconds. */
  turnMs: i32 = 100;

  private readonly fields: FieldReader = new FieldReader();

  /** Reads the key `function` of the plugin configuration. @returns an empty string, or what is wrong */
  parse(text: View): string {
    const reader = this.fields.json;
    reader.reset(text);
    if (reader.peek() != JsonKind.OBJECT || !reader.enterObject()) return 'it is not a JSON object';
    while (reader.nextKey()) {
      if (viewEquals(reader.key, K_FUNCTION)) this.read();
      else reader.skip();
    }
    let problem = reader.ok ? this.fields.problem : reader.errorText();
    if (problem.length == 0 && viewLen(this.id) == 0) problem = '"function" must have an "id"';
    reader.reset(0);
    return problem;
  }

  private read(): void {
    if (!this.fields.object('function')) return;
    const reader = this.fields.json;
    while (reader.nextKey()) {
      const key = reader.key;
      if (viewEquals(key, K_ID)) this.id = this.fields.text('function.id');
      else if (viewEquals(key, K_BODY_BYTES))
        this.bodyBytes = <i32>this.fields.whole('function.bodyBytes', 0, 1 << 30);
      else if (viewEquals(key, K_IN_FLIGHT))
        this.inFlight = <i32>this.fields.whole('function.inFlight', 1, 1 << 20);
      else if (viewEquals(key, K_DEADLINE))
        this.deadlineMs = <i32>this.fields.whole('function.deadlineMs', 1, 1 << 30);
      else if (viewEquals(key, K_TURN)) this.turnMs = <i32>this.fields.whole('function.turnMs', 1, 10_000);
      else reader.skip();
    }
  }
}
