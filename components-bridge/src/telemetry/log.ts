import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

import type { Secrets } from './secrets.js';

/** How deep a chain of causes is shown. */
const CAUSES = 4;

/**
 * Makes the bridge's log: a JSON object per line, without secrets.
 *
 * Of an error only its own fields are shown: clients hang the failed command with all its arguments on theirs. And
 * each line as a whole is cleared of secrets, whatever was logged and by whom.
 *
 * @param level pino's name of the lowest level that is written
 */
export function createLog(level: string, secrets: Secrets, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      serializers: { err: (thrown: unknown) => describeError(thrown) },
      hooks: { streamWrite: (line) => secrets.redact(line) },
    },
    destination,
  );
}

function describeError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return typeof thrown === 'object' ? String(thrown) : thrown;
  const { name, message, stack, cause } = thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  const own = { type: name, message, stack, code };
  return cause === undefined || depth >= CAUSES ? own : { ...own, cause: describeError(cause, depth + 1) };
}
