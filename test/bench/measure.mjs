import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const generator = fileURLToPath(new URL('load.mjs', import.meta.url));

/** The kernel counts CPU time in these units, whatever its own clock. */
const TICKS_PER_SECOND = 100;

/**
 * Runs the load generator and takes the CPU time that the processes spent meanwhile.
 *
 * @param load options of load.mjs
 * @param processes those to watch
 * @returns what the generator measured, with `cpuPerCall`: microseconds by process name
 */
export async function measure(load, processes) {
  const before = processes.map(({ pid }) => cpuTicks(pid));
  const { stdout } = await promisify(execFile)(process.execPath, [generator, JSON.stringify(load)]);
  const result = JSON.parse(stdout);
  const cpuPerCall = Object.fromEntries(
    processes.map(({ name, pid }, index) => [
      name,
      ((cpuTicks(pid) - before[index]) * 1e6) / TICKS_PER_SECOND / result.calls,
    ]),
  );
  return { ...result, cpuPerCall };
}

/** User and system time of a process, all its threads. */
function cpuTicks(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name stands in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Resident memory in MiB. */
export function rssMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}
