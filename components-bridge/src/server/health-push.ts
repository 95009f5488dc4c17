import { create, toBinary } from '@bufbuild/protobuf';

import { ComponentHealth_Status as Status, PushSchema } from '../gen/layotto/bridge/v1/session_pb.js';
import type { ComponentHealth, ComponentStatus } from '../primitives/slot.js';

/** Longest reason that filters are told, in characters; they keep it as long as it holds. */
const LONGEST_REASON = 256;

const STATUS: Readonly<Record<ComponentStatus, Status>> = {
  connecting: Status.CONNECTING,
  ready: Status.READY,
  down: Status.DOWN,
};

/**
 * What filters are told of where all components stand.
 *
 * @param level how much they are to log, if that is to be told too
 * @returns a Push message
 */
export function healthPush(components: readonly ComponentHealth[], level?: string): Uint8Array {
  const health = {
    components: components.map(({ primitive, name, status, reason = '' }) => ({
      primitive,
      name,
      status: STATUS[status],
      reason: reason.slice(0, LONGEST_REASON),
    })),
  };
  return toBinary(
    PushSchema,
    create(PushSchema, { health, ...(level === undefined ? {} : { logging: { level } }) }),
  );
}
