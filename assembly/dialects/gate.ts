// What stands between a call and the component that it names.

import { View } from '../wire/view';
import { Exchange } from './exchange';

/** Asked for every component that a call finds, before it gets it. */
export abstract class Gate {
  /** Whether the call may have the component. @param name as the caller wrote it, configured or not */
  abstract admits(exchange: Exchange, name: View): bool;
}
