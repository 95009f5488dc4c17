// What a function says of itself to its build; see assembly/describe.ts.

import { PROTOCOL } from '../session/fitness';
import { VERSION } from '../version';
import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';

/** Lines of words: `version V`, `protocol N`, and that it is a function. */
export function layotto_describe(): View {
  const w = new ByteWriter();
  w.text('version ' + VERSION + '\nprotocol ' + PROTOCOL.toString() + '\nfunction\n');
  return w.view();
}
