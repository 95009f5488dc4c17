// Which HTTP statuses metrics tell apart.

import { View, viewByte, viewLen } from '../wire/view';
import { UNUSUAL_STATUS } from './call-metrics';

const ZERO: u8 = 0x30;
/** For a caller that went away before its answer. */
const CLIENT_CLOSED_REQUEST: i32 = 499;

/** An HTTP status that has a meaning; whoever answers could make metrics of any others. */
export function usualStatus(text: View): i32 {
  if (viewLen(text) != 3) return UNUSUAL_STATUS;
  let status = 0;
  for (let i = 0; i < 3; i++) status = status * 10 + <i32>viewByte(text, i) - ZERO;
  if (status == CLIENT_CLOSED_REQUEST || (status >= 100 && status <= 103)) return status;
  if ((status >= 200 && status <= 208) || status == 226 || (status >= 300 && status <= 308)) return status;
  if ((status >= 400 && status <= 431) || status == 451 || (status >= 500 && status <= 511)) return status;
  return UNUSUAL_STATUS;
}
