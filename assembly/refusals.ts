// Why a call is refused for a reason that belongs to no primitive.

import { literal } from './wire/view';

export const NO_SESSION = literal(
  'the components bridge is not connected; calls are refused until it is back',
);
export const BUSY = literal('too busy: limits.operations or limits.bytes is reached; try again later');
export const NO_REPLY_FILTER = literal(
  'no Lua filter layotto.reply follows the filter layotto.runtime, so gRPC answers cannot be sent',
);
export const RESULT_TOO_LARGE = literal('the answer is larger than limits.message');
