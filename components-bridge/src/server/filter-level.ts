import { create, toBinary } from '@bufbuild/protobuf';

import { PushSchema } from '../gen/layotto/bridge/v1/session_pb.js';
import type { FilterLevel } from '../primitives/actuator/service.js';

/** What filters begin with. */
const FIRST_LEVEL = 'info';

/** How much filters log, until the bridge ends: those that are connected are told when it changes. */
export class FilterLogLevel implements FilterLevel {
  #level = FIRST_LEVEL;

  /** @param push sends a Push message to every filter */
  constructor(private readonly push: (payload: Uint8Array) => void) {}

  get level(): string {
    return this.#level;
  }

  set level(level: string) {
    this.#level = level;
    this.push(toBinary(PushSchema, create(PushSchema, { logging: { level } })));
  }
}
