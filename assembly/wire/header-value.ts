// What may stand in a header.

import { View, viewLen, viewPtr } from './view';

/** No control characters. */
export function isHeaderValue(text: View): bool {
  const start = viewPtr(text);
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = load<u8>(start + i);
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}
