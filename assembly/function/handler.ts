// What a developer writes: a class with its state, one method for the call and
// one for each kind of answer that it waits for.

import { Call } from './call';
import { Answer, ConfigurationValue, Failure, StateValue } from './results';

/**
 * One call of a function, from its request to its answer. Made anew for each call, so its fields are the call's. A
 * method either answers, or asks for something and returns: what was asked for comes to the method that is named for it.
 */
export abstract class Handler {
  /** The call has come, with its whole body. */
  abstract onRequest(call: Call): void;

  /** What `call.getState` asked for. */
  onState(call: Call, value: StateValue): void {}

  /** `call.saveState` is done. */
  onSaved(call: Call, key: string): void {}

  /** `call.deleteState` is done. */
  onDeleted(call: Call, key: string): void {}

  /** What `call.getConfiguration` asked for. */
  onConfiguration(call: Call, values: Array<ConfigurationValue>): void {}

  /** `call.publish` is done. @param id the broker's id of the message */
  onPublished(call: Call, id: string): void {}

  /** Another function, or an app, has answered, with whatever status. */
  onAnswer(call: Call, answer: Answer): void {}

  /** Something that was asked for did not happen. Unless it is overridden, the call is answered with the reason. */
  onFailure(call: Call, failure: Failure): void {
    call.answer(failure.status, failure.message);
  }
}

type HandlerFactory = () => Handler;

let factory: HandlerFactory = (): Handler => unreachable();

/** Says what handles the calls of this function. Once, at the top level of its file: `serve(() => new Inventory())`. */
export function serve(handler: HandlerFactory): void {
  factory = handler;
}

/** For the stream of a call. */
export function makeHandler(): Handler {
  return factory();
}
