import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/**
 * Sees to it that a child ends when we are gone, however we went, a SIGKILL included: a shell waits on a pipe that
 * closes with us, and then asks the child to end.
 *
 * @returns to be called when the child has ended, so that no later process with its id is meant
 */
export function endWithUs(child: ChildProcess): () => void {
  if (child.pid === undefined) return () => undefined;
  const script = 'read -r _; kill -TERM "$1" 2>/dev/null';
  const watchdog = spawn('/bin/sh', ['-c', script, 'sh', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell only this safety net is missing.
  watchdog.on('error', () => undefined);
  watchdog.unref();
  return () => watchdog.kill('SIGKILL');
}
