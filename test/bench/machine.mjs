import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

import { cpuNanoseconds } from './measure.mjs';

/** The kernel counts CPU time in these units, whatever its own clock. */
const TICKS_PER_SECOND = 100;

/** @returns {string} CPUs, memory and kernel */
export function describeMachine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} CPUs (${model}), ${memory} GiB, Linux ${release()}`;
}

/**
 * CPU seconds so far: of the machine, and of what belongs to the measurement, which is the watched processes, this one
 * and those it has waited for, such as the load generator.
 */
export function readBusy(watched) {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .split(/\s+/)
    .map(Number);
  const own = readFileSync('/proc/self/stat', 'utf8');
  const fields = own.slice(own.lastIndexOf(')') + 2).split(' ');
  const self = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return {
    at: performance.now() / 1000,
    machine: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    ours: self / TICKS_PER_SECOND + watched.reduce((sum, { pid }) => sum + cpuNanoseconds(pid) / 1e9, 0),
  };
}

/** Share of the machine's CPU time that others took between two readings: what disturbs a measurement. */
export function shareOfOthers(before, after) {
  const others = after.machine - before.machine - (after.ours - before.ours);
  return Math.max(0, others / ((after.at - before.at) * cpus().length));
}

const GLANCE_MS = 50;

/**
 * Waits until other programs leave the machine alone.
 *
 * @param {number} seconds at most, about
 * @param {number} share of the machine that they may take
 * @returns {Promise<number>} seconds that it took
 */
export async function untilQuiet(seconds, share) {
  const started = performance.now() / 1000;
  for (;;) {
    const before = readBusy([]);
    if (before.at - started >= seconds) return before.at - started;
    await new Promise((resolve) => setTimeout(resolve, GLANCE_MS));
    const after = readBusy([]);
    if (shareOfOthers(before, after) <= share) return after.at - started;
  }
}
