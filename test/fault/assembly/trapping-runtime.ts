// For tests only: the runtime's module, except that a request with the header
// x-test-trap kills the VM: by the host layer's `trap`, or at once. No module that is shipped can be made to do this.

import { trap } from '../../../assembly/host/log';
import { release } from '../../../assembly/host/memory';
import { HeaderMap } from '../../../assembly/host/enums';
import { getHeader } from '../../../assembly/host/headers';
import { proxy_on_request_headers as handle } from '../../../assembly/host/dispatch';
import { literal, viewEquals } from '../../../assembly/wire/view';

export * from '../../../assembly/modules/runtime';

const TRAP = literal('x-test-trap');
const TOLD = literal('told');

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: u32): u32 {
  const how = getHeader(HeaderMap.RequestHeaders, TRAP);
  if (viewEquals(how, TOLD)) trap();
  if (how != 0) unreachable();
  release(how);
  return handle(id, count, endOfStream);
}
