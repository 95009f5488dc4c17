import { selfTimes } from './cpuprofile.mjs';
import { envoyFrame, foreignFrame } from './parts.mjs';
import { addUp, entries, hostCalls, markdownTable, owners, top } from './tables.mjs';

/** Beside the table of the short form, which is for people who do not look for a single function. */
const SHORT_ROWS = 15;

/**
 * The Markdown of a profile.
 *
 * @param {object} run
 * @param {string} run.title
 * @param {string[]} run.versions
 * @param {{ name: string, pid: number }[]} run.processes
 * @param {{ plain: object, samples: import('./samples.mjs').Sample[] }} run.calls figures without a profiler, and samples
 * @param {{ plain: object, samples: import('./samples.mjs').Sample[] }} run.empty the same of an empty answer
 * @param {string} run.program path of Envoy
 * @param {import('./elf.mjs').Binary} [run.binary] Envoy's program, undefined without perf
 * @param {object} run.profile of the bridge, from V8
 * @param {string} run.root paths are shown relative to it
 * @returns {{ text: string, short: string }}
 */
export function profileReport({ title, versions, processes, calls, empty, program, binary, profile, root }) {
  const { plain } = calls;
  const costs = Object.entries(plain.cpuPerCall).map(([name, cost]) => `${name} ${cost.toFixed(1)} µs`);
  const conditions = [
    `${versions.join(', ')}.`,
    `Without a profiler: ${plain.perSecond.toFixed(0)} calls/s,`,
    `p50 ${plain.p50.toFixed(2)} ms; CPU per call ${costs.join(', ')};`,
    `Envoy ${empty.plain.cpuPerCall['Envoy'].toFixed(1)} µs for an empty answer.`,
  ].join('\n');
  const lines = [`# Profile: ${title}`, conditions];
  const short = [`The call: ${title}.\n${conditions}`];
  if (binary === undefined)
    lines.push('`perf` is not there or may not watch other processes: Envoy and Redis were not profiled.');
  else {
    const describe = (frame) => envoyFrame(frame, binary, program);
    for (const { name, pid } of processes) {
      const own = calls.samples.filter((sample) => sample.pid === pid);
      const describeOwn = name === 'Envoy' ? describe : foreignFrame;
      const sums = addUp(own, describeOwn);
      const cost = plain.cpuPerCall[name];
      const parts =
        name === 'Envoy'
          ? envoyParts(sums, cost, empty, describe)
          : shares(top(sums.parts), sums.samples, cost, 'part');
      lines.push(`## ${name}, by part (self time, ${sums.samples} samples)`, parts);
      lines.push(...functions(name, sums, cost));
      if (name === 'Envoy') lines.push(...module(own, describe, sums.samples, cost));
      if (name === 'bridge') {
        const files = (limit) =>
          shares(top(owners(own), limit), sums.samples, cost, 'file, with what it makes Node do');
        lines.push('## bridge, by whose work it is', files(30));
        short.push('### bridge, by whose work it is', files(SHORT_ROWS));
      }
      if (name !== 'Redis') short.push(`### ${name}, by part`, parts);
      if (name === 'Envoy')
        short.push('### Envoy, ways into the module', ways(own, describe, sums.samples, cost));
    }
  }
  const { total, rows } = selfTimes(profile, root);
  const javascript = (limit) => shares(rows.slice(0, limit), total, plain.cpuPerCall['bridge'], 'function');
  lines.push('## bridge, by function (V8 profiler, self time)', javascript(40));
  if (binary === undefined) short.push('### bridge, by function', javascript(SHORT_ROWS));
  return { text: `${lines.join('\n\n')}\n`, short: short.join('\n\n') };
}

/** Beside each part, what an empty answer spends in it: the difference is what the runtime adds. */
function envoyParts(sums, cost, empty, describe) {
  const without = addUp(empty.samples, describe);
  const perEmpty = empty.plain.cpuPerCall['Envoy'];
  const rows = top(sums.parts).map(([part, number]) => [
    part,
    micros(number, sums.samples, cost),
    micros(without.parts.get(part) ?? 0, without.samples, perEmpty),
    percent(number, sums.samples),
  ]);
  return markdownTable(['part', 'µs per call', 'µs per empty answer', 'share'], rows);
}

function functions(name, sums, cost) {
  const self = top(sums.self, 40).map(([label, number]) => {
    const caller = top(sums.callers.get(label) ?? new Map(), 1)[0]?.[0];
    return [caller === undefined ? label : `${label} ← ${caller}`, number];
  });
  const parts = [
    `## ${name}, by function (self time)`,
    shares(self, sums.samples, cost, 'function ← its most frequent named caller'),
  ];
  if (name === 'Redis') return parts;
  const inclusive = shares(top(sums.inclusive, 60), sums.samples, cost, 'function');
  return [...parts, `## ${name}, by function, with everything that it calls`, inclusive];
}

function ways(own, describe, total, cost) {
  const rows = [...entries(own, describe)]
    .sort(([, a], [, b]) => b.code + b.host - a.code - a.host)
    .map(([name, { code, host, around, after }]) => [
      name,
      ...[code, host, around, after].map((number) => micros(number, total, cost)),
    ]);
  const head = ['way in, µs per call', 'its code', 'host functions', 'entering and leaving', 'what follows'];
  return markdownTable(head, rows);
}

function module(own, describe, total, cost) {
  const { below, rows, callees } = hostCalls(own, describe);
  const called = top(rows, 25).map(([label, number]) => {
    const callee = top(callees.get(label) ?? new Map(), 2).map(([name]) => name);
    return [[label, ...callee].join(' → '), number];
  });
  return [
    '## Ways into the module',
    ways(own, describe, total, cost),
    `## Below the module: ${percent(below, total)} of Envoy, by function of the host`,
    shares(called, total, cost, 'function of the host → what it calls most'),
  ];
}

function shares(rows, total, cost, what) {
  const cells = rows.map(([label, number]) => [percent(number, total), micros(number, total, cost), label]);
  return markdownTable(['share', 'µs per call', what], cells);
}

function micros(number, total, cost) {
  return total === 0 ? '0' : ((number / total) * cost).toFixed(2);
}

function percent(part, whole) {
  return `${((part / Math.max(1, whole)) * 100).toFixed(1)} %`;
}
