import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { h2loadVersion, runH2load } from './h2load.mjs';

const nodeGenerator = fileURLToPath(new URL('load.mjs', import.meta.url));

/**
 * @typedef {object} LoadResult
 * @property {number} calls
 * @property {number} perSecond
 * @property {number} p50 milliseconds, like p99 and max
 * @property {number} p99
 * @property {number} max
 *
 * @typedef {object} Generator
 * @property {string} label
 * @property {(load: Parameters<typeof runH2load>[0]) => Promise<LoadResult>} run
 */

/**
 * h2load where it is installed, because it takes a third of the CPU; else the generator of our own.
 *
 * @param {string} [wanted] `h2load` or `node`
 * @returns {Generator}
 */
export function chooseGenerator(wanted) {
  const version = wanted === 'node' ? undefined : h2loadVersion();
  if (version !== undefined) return { label: version, run: runH2load };
  if (wanted === 'h2load')
    throw new Error('h2load is not on PATH: install nghttp2-client, or leave BENCH_LOAD out');
  return { label: `Node's HTTP client (test/bench/load.mjs)`, run: runNode };
}

async function runNode({ port, request, inflight, seconds, dir }) {
  const { body, path, method, headers, protocol } = request;
  const bodyFile = join(dir, 'load.body');
  writeFileSync(bodyFile, body ?? '');
  const options = { target: { port }, protocol, path, bodyFile, inflight, seconds };
  options.headers = { ':method': method, ...headers };
  const { stdout } = await promisify(execFile)(process.execPath, [nodeGenerator, JSON.stringify(options)]);
  const result = JSON.parse(stdout);
  if (result.failed > 0) throw new Error(`${result.failed} calls failed: ${JSON.stringify(result.statuses)}`);
  return result;
}

/**
 * The CPU time that processes spend while something runs.
 *
 * @template {{ calls: number }} T
 * @param {{ name: string, pid: number }[]} processes
 * @param {() => Promise<T>} run
 * @returns {Promise<T & { cpuPerCall: Record<string, number> }>} with microseconds by process
 */
export async function watchCpu(processes, run) {
  const before = processes.map(({ pid }) => cpuNanoseconds(pid));
  const result = await run();
  const cpuPerCall = {};
  processes.forEach(({ name, pid }, index) => {
    cpuPerCall[name] = (cpuNanoseconds(pid) - before[index]) / 1000 / result.calls;
  });
  return { ...result, cpuPerCall };
}

/**
 * Time on a CPU of a process, all its threads, user and system. The scheduler's own count is exact; where the kernel
 * does not keep it, ticks of 10 ms.
 */
export function cpuNanoseconds(pid) {
  try {
    let sum = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`))
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    return sum;
  } catch {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name stands in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 1e7;
  }
}

/**
 * Memory in MiB: all that is resident, with what is shared divided by those who share it, and what nobody shares.
 *
 * @returns {{ rss: number, pss: number, uss: number }}
 */
export function memoryMiB(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
  return { rss: of('Rss'), pss: of('Pss'), uss: of('Private_Clean') + of('Private_Dirty') };
}

/** Resident memory in MiB. */
export function rssMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}
