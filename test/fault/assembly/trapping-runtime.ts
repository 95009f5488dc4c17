// For tests only: the runtime's module, except that a request with the header
// x-test-trap kills the VM. No module that is shipped can be made to do this.

import { release } from '../../../assembly/host/memory';
import { HeaderMap } from '../../../assembly/host/enums';
import { getHeader } from '../../../assembly/host/headers';
import { proxy_on_request_headers as handle } from '../../../assembly/host/dispatch';
import { literal } from '../../../assembly/wire/view';

export * from '../../../assembly/modules/runtime';

const TRAP = literal('x-test-trap');

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: u32): u32 {
  const trap = getHeader(HeaderMap.RequestHeaders, TRAP);
  if (trap != 0) unreachable();
  release(trap);
  return handle(id, count, endOfStream);
}
