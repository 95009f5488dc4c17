// What the host knows beside headers and bodies.

import { proxy_get_property } from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { OUT, received } from './memory';
import { Status } from './status';

/**
 * A property of the effective context, or of the host (`release` gives it back); no bytes if there is none.
 *
 * @param path its parts with a zero byte between them, for example "connection\0mtls"
 */
export function getProperty(path: Bytes): Bytes {
  store<u64>(OUT, 0);
  return proxy_get_property(bytesPtr(path), bytesLength(path), OUT, OUT + 4) == Status.Ok ? received() : 0;
}
