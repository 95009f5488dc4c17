// Data that all workers of one Envoy process share.

import { proxy_get_shared_data, proxy_set_shared_data } from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { OUT, received, release } from './memory';
import { Status } from './status';

/** A value together with the version (CAS) under which it was read. */
export class SharedValue {
  constructor(
    /** The value, in a buffer the caller releases; no bytes when the key is not set. */
    public value: Bytes,
    /** Pass to `setShared`; 0 when the key is not set. */
    public version: u32,
  ) {}
}

/** Reads a key. */
export function getShared(key: Bytes): SharedValue {
  store<u64>(OUT, 0);
  store<u32>(OUT + 8, 0);
  const status = proxy_get_shared_data(bytesPtr(key), bytesLength(key), OUT, OUT + 4, OUT + 8);
  if (status != Status.Ok) return new SharedValue(0, 0);
  return new SharedValue(received(), load<u32>(OUT + 8));
}

/** A key that holds a number; 0 when it is not set. */
export function getSharedU64(key: Bytes): u64 {
  store<u64>(OUT, 0);
  if (proxy_get_shared_data(bytesPtr(key), bytesLength(key), OUT, OUT + 4, OUT + 8) != Status.Ok) return 0;
  const value = received();
  const number: u64 = bytesLength(value) == 8 ? load<u64>(bytesPtr(value)) : 0;
  release(value);
  return number;
}

/** Sets a key to a number, whatever is there. */
export function setSharedU64(key: Bytes, value: u64): Status {
  store<u64>(OUT, value);
  return <Status>proxy_set_shared_data(bytesPtr(key), bytesLength(key), OUT, 8, 0);
}

/**
 * Writes a key.
 *
 * @param version what `getShared` gave, so that a change in between is seen; 0 writes whatever is there
 * @returns CasMismatch when another worker was faster
 */
export function setShared(key: Bytes, value: Bytes, version: u32): Status {
  return <Status>(
    proxy_set_shared_data(bytesPtr(key), bytesLength(key), bytesPtr(value), bytesLength(value), version)
  );
}
