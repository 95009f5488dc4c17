// Logging to the host, and the abort handler.

import { proxy_log } from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { LogLevel } from './enums';
import { Status } from './status';

/** Writes one line to Envoy's log (component `wasm`). */
export function log(level: LogLevel, message: string): void {
  const text = String.UTF8.encode(message);
  proxy_log(level, changetype<usize>(text), text.byteLength);
}

/** The same with a text that is bytes already. */
export function logBytes(level: LogLevel, message: Bytes): void {
  proxy_log(level, bytesPtr(message), bytesLength(message));
}

/** True for Ok; anything else is logged with the host call's name. For calls that only fail when something is wrong. */
export function succeeded(status: Status, call: string): bool {
  if (status == Status.Ok) return true;
  log(LogLevel.Error, call + ' failed with status ' + (<i32>status).toString());
  return false;
}

let farewell: (() => void) | null = null;

/** Says what `trap` does before the VM ends. It must not allocate: perhaps there is no memory left. */
export function beforeTrap(what: () => void): void {
  farewell = what;
}

/** Ends the VM. Its streams are told first: the host calls nothing in it any more. */
export function trap(): void {
  const last = farewell;
  farewell = null;
  if (last !== null) last();
  unreachable();
}

/** What AssemblyScript calls instead of throwing (`--use abort=assembly/host/log/abort`): say where, then trap. */
export function abort(
  message: string | null = null,
  fileName: string | null = null,
  line: u32 = 0,
  column: u32 = 0,
): void {
  const what = message === null ? 'abort' : message;
  const where = fileName === null ? '' : fileName;
  log(LogLevel.Critical, what + ' at ' + where + ':' + line.toString() + ':' + column.toString());
  trap();
  unreachable();
}
