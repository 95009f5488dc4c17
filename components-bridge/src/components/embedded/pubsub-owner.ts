import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Who delivers in this process now. */
const here = new Set<string>();

/** A process, told from others that had its number before or after. */
const processName = `${process.pid}/${startOf(process.pid) ?? ''}`;

/**
 * Who delivers the messages of a group: two bridges may have the folder open while one takes over from the other, and
 * each message is to be in one hand. Nobody has to be waited for who is not there any more.
 */
export class Owner {
  /** What is kept of it. */
  readonly name = `${processName}/${randomUUID()}`;

  constructor() {
    here.add(this.name);
  }

  /** It delivers no more. */
  end(): void {
    here.delete(this.name);
  }

  /** Whether whoever is called this delivers still. */
  static isThere(name: string): boolean {
    const [pid = '', start = ''] = name.split('/');
    if (name.startsWith(`${processName}/`)) return here.has(name);
    return startOf(Number(pid)) === start;
  }
}

/** When a process began, in ticks since the machine did, with the machine's own mark; undefined if it has ended. */
function startOf(pid: number): string | undefined {
  try {
    // The name of the program, in parentheses, may hold anything; the start is the 20th field after it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}:${fields[18] ?? ''}`;
  } catch {
    return undefined;
  }
}
