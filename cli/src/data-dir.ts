import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { lockFile } from './data-files.js';
import { UserError, messageOf } from './errors.js';

/** Who uses a data folder, as its lock file tells it. */
interface Owner {
  pid: number;
  /** When that process started, in the kernel's own count: tells it from a later one with the same id. */
  started: string;
}

/**
 * Takes a data folder for this process, so that no second `layotto run` writes into the same store and sockets. The
 * lock of a process that is gone is taken over.
 *
 * @returns gives the folder back
 * @throws UserError if another process uses the folder, or it cannot be written
 */
export function claimDataDir(dir: string): () => void {
  const file = lockFile(dir);
  const me: Owner = { pid: process.pid, started: startOf(process.pid) };
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UserError(`cannot make the data folder ${dir}: ${messageOf(error)}`);
  }
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, JSON.stringify(me), { flag: 'wx', mode: 0o600 });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new UserError(`cannot write to the data folder ${dir}: ${messageOf(error)}`);
      }
    }
    const owner = readOwner(file);
    if (attempt > 0 || (owner !== undefined && isAlive(owner))) {
      const who = owner === undefined ? 'another process' : `process ${owner.pid}`;
      throw new UserError(
        `the data folder ${dir} is in use by ${who}; stop it or give another by --data-dir`,
      );
    }
    rmSync(file, { force: true });
  }
}

function readOwner(file: string): Owner | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Owner>;
    return typeof pid === 'number' && pid > 0 && typeof started === 'string' ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to someone else.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return startOf(pid) === started;
}

/** Field 22 of /proc/<pid>/stat; empty where there is none, and then the process id alone counts. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in the second field may hold spaces and brackets, so count behind its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
