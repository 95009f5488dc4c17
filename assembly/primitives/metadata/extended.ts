// Extended metadata: what the app has set, shared by all workers.

import { release } from '../../host/memory';
import { getShared, setShared } from '../../host/shared-data';
import { Status } from '../../host/status';
import { ByteWriter } from '../../wire/bytes';
import { GetMetadataResponse } from '../../wire/gen/dapr/proto/runtime/v1/metadata';
import { StringMap } from '../../wire/string-map';
import { literal, View, viewLen } from '../../wire/view';

const SHARED_KEY = literal('layotto.metadata.extended');

/** All keys and values together, in bytes. */
export const EXTENDED_LIMIT: i32 = 64 * 1024;

/** Another worker may write at the same time; more attempts than this never fail in practice. */
const ATTEMPTS: i32 = 16;

/** The extended metadata as it was at one moment; `free` gives its memory back. */
export class Extended {
  readonly map: StringMap;
  private buffer: View;
  private version: u32;

  constructor() {
    const shared = getShared(SHARED_KEY);
    this.buffer = shared.value;
    this.version = shared.version;
    const message = new GetMetadataResponse();
    message.decode(shared.value);
    this.map = message.extendedMetadata;
  }

  /** Writes the map; CasMismatch when another worker has written since, Empty when it is too large. */
  store(): Status {
    const message = new GetMetadataResponse();
    message.extendedMetadata = this.map;
    const w = new ByteWriter();
    message.encode(w);
    const status =
      viewLen(w.view()) > EXTENDED_LIMIT ? Status.Empty : setShared(SHARED_KEY, w.view(), this.version);
    w.free();
    return status;
  }

  free(): void {
    release(this.buffer);
    this.buffer = 0;
  }
}

/** Sets one key; false when it does not fit. */
export function setExtended(key: View, value: View): bool {
  for (let i = 0; i < ATTEMPTS; i++) {
    const extended = new Extended();
    extended.map.set(key, value);
    const status = extended.store();
    extended.free();
    if (status != Status.CasMismatch) return status == Status.Ok;
  }
  return false;
}
