import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

/** Samples per second and thread: a prime, so that nothing periodic is always met or always missed. */
const FREQUENCY = 1999;

/** How perf calls memory that belongs to no file. */
const MADE_CODE = /perf-\d+\.map$|^\[unknown\]$|^\/\/anon$|^anon/;

/** @returns {Promise<boolean>} whether `perf` is there and may watch other processes */
export async function perfWorks() {
  try {
    await promisify(execFile)('perf', ['record', '-q', '-o', '/dev/null', '-p', String(process.pid), 'true']);
    return true;
  } catch {
    return false;
  }
}

/**
 * Records where processes spend their time, with the callers of each sample, until it is stopped.
 *
 * @param {number[]} pids
 * @param {string} file where perf keeps its data
 * @returns {Promise<() => Promise<void>>} stops it
 */
export async function record(pids, file) {
  const options = ['record', '-q', '-g', '-F', String(FREQUENCY), '-o', file, '-p', pids.join(',')];
  const child = spawn('perf', options, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => (errors += chunk));
  const closed = new Promise((resolve) => child.once('close', resolve));
  // perf says nothing when it has attached.
  await new Promise((resolve) => setTimeout(resolve, 500));
  return async () => {
    if (child.exitCode !== null) throw new Error(`perf ended early\n${errors}`);
    child.kill('SIGINT');
    await closed;
  };
}

/**
 * @typedef {object} Frame
 * @property {number} address in the file for a library or program, else in memory
 * @property {string} symbol `[unknown]` if there is none
 * @property {string} object the file, `[kernel.kallsyms]`, `[vdso]`, or empty for memory that belongs to no file
 *
 * @typedef {object} Sample
 * @property {number} pid
 * @property {string} thread
 * @property {Frame[]} frames innermost first
 */

/**
 * @param {string} file what {@link record} wrote
 * @returns {Promise<Sample[]>}
 */
export async function samples(file) {
  const fields = ['script', '-i', file, '-F', 'comm,pid,tid,ip,sym,dso'];
  const { stdout } = await promisify(execFile)('perf', fields, { maxBuffer: 1 << 30 });
  return stdout
    .split('\n\n')
    .map((block) => parseSample(block))
    .filter((sample) => sample !== undefined);
}

/** One block of `perf script`: a line `comm pid/tid`, then a line `address symbol (object)` for each frame. */
export function parseSample(block) {
  const [head, ...lines] = block.split('\n').filter((line) => line.trim() !== '');
  const about = /^\s*(.*?)\s+(\d+)\/\d+\s*$/.exec(head ?? '');
  if (about === null) return undefined;
  const frames = lines.flatMap((line) => {
    const parts = /^\s*([0-9a-f]+) (.*) \((.*)\)$/.exec(line);
    if (parts === null) return [];
    const object = MADE_CODE.test(parts[3]) ? '' : parts[3];
    return [{ address: parseInt(parts[1], 16), symbol: parts[2], object }];
  });
  return { pid: Number(about[2]), thread: about[1], frames };
}
