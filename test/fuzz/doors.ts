import { EMBEDDED, Runtime, type RuntimeOptions } from '../support/runtime.js';
import { randomOf } from './cases.js';
import { grpcCase } from './grpc-door.js';
import { httpCase } from './http-door.js';
import { jsonCase } from './json-door.js';
import { sessionStorm } from './session-door.js';
import { doorStorm, type StormOptions, type StormResult } from './storm.js';

/** The doors, and what stands behind them: the bridge's own socket. */
export const DOORS = ['layotto-grpc', 'dapr-grpc', 'dapr-http', 'json', 'session'] as const;
export type DoorName = (typeof DOORS)[number];

/** Small limits, so that inputs meet them, and a short deadline, so that no input holds up the rest. */
const LIMITS = { messageBytes: 16 * 1024, bytes: 4 * 1024 * 1024, operations: 1024, deadlineMs: 1_000 };

/** A runtime to be stormed: one thread, whose limits are then all there are. */
export function stormedRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return Runtime.start({ components: [EMBEDDED], concurrency: 1, limits: LIMITS, ...options });
}

/** Storms one door. @param result what came of the inputs before these, to be added to */
export function stormDoor(
  runtime: Runtime,
  door: DoorName,
  options: StormOptions,
  result?: StormResult,
): Promise<StormResult> {
  const limit = runtime.config.limits.messageBytes;
  const random = (index: number) => randomOf(options.seed, index);
  if (door === 'session') return sessionStorm({ socketPath: runtime.sessionSocket }, options, limit, result);
  if (door === 'dapr-http')
    return doorStorm(runtime.target, options, (index) => httpCase(random(index), limit), result);
  if (door === 'json')
    return doorStorm(runtime.target, options, (index) => jsonCase(random(index), limit), result);
  return doorStorm(runtime.target, options, (index) => grpcCase(door, random(index), limit), result);
}
