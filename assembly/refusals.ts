// Why a call is refused for a reason that belongs to no primitive.

import { Code } from './dialects/codes';
import { Door } from './dialects/door';
import { Exchange } from './dialects/exchange';
import { Access } from './policy/access';
import { literal } from './wire/view';

const FROM_BROWSER = literal('requests from web pages (those with an Origin header) are refused');
const FOREIGN_HOST = literal(
  'this host name is not allowed: use localhost or an IP address, or add the name to listen.hosts',
);
const UNAUTHORIZED = literal('Unauthorized');

export const NO_SESSION = literal(
  'the components bridge is not connected; calls are refused until it is back',
);
export const BUSY = literal('too busy: limits.operations or limits.bytes is reached; try again later');
export const NO_REPLY_FILTER = literal(
  'no Lua filter layotto.reply follows the filter layotto.runtime, so gRPC answers cannot be sent',
);
export const RESULT_TOO_LARGE = literal('the answer is larger than limits.message');

/** Fills in the refusal of a call that is not allowed. */
export function refuseAccess(door: Door, exchange: Exchange, access: Access): void {
  if (access == Access.BadToken) door.refuse(exchange, Code.UNAUTHENTICATED, UNAUTHORIZED);
  else if (access == Access.FromBrowser) door.refuse(exchange, Code.PERMISSION_DENIED, FROM_BROWSER);
  else door.refuse(exchange, Code.PERMISSION_DENIED, FOREIGN_HOST);
}
