import { OTHER, foreignFrame } from './parts.mjs';

/**
 * Adds up the samples of one process.
 *
 * @param {import('./samples.mjs').Sample[]} samples
 * @param {(frame: import('./samples.mjs').Frame) => { part: string, label: string, exact: boolean }} [describe]
 */
export function addUp(samples, describe = foreignFrame) {
  const totals = { samples: 0, parts: new Map(), self: new Map(), inclusive: new Map(), callers: new Map() };
  const known = new Map();
  const look = (frame) => {
    const key = `${frame.object}\0${frame.address}\0${frame.symbol}`;
    if (!known.has(key)) known.set(key, describe(frame));
    return known.get(key);
  };
  for (const { frames } of samples) {
    if (frames.length === 0) continue;
    const looked = frames.map(look);
    totals.samples++;
    count(totals.parts, (looked.find(({ part }) => part !== OTHER) ?? looked[0]).part);
    count(totals.self, looked[0].label);
    for (const label of new Set(looked.map((one) => one.label))) count(totals.inclusive, label);
    const caller = looked.find((one, index) => index > 0 && one.exact && one.label !== looked[0].label);
    if (caller !== undefined) {
      if (!totals.callers.has(looked[0].label)) totals.callers.set(looked[0].label, new Map());
      count(totals.callers.get(looked[0].label), caller.label);
    }
  }
  return totals;
}

/**
 * What the module's calls out of it cost: the samples below a frame of its code, by the function of the host that
 * they are in. Between the code and that function stand V8's and the host's own wrappers.
 *
 * @param {import('./samples.mjs').Sample[]} samples
 * @param {(frame: import('./samples.mjs').Frame) => { part: string, label: string, exact: boolean }} describe
 * @returns {{ below: number, rows: Map<string, number>, callees: Map<string, Map<string, number>> }} by function, and
 *   for each the named functions that it calls
 */
export function hostCalls(samples, describe) {
  const [rows, callees] = [new Map(), new Map()];
  let below = 0;
  for (const { frames } of samples) {
    const index = frames.findIndex((frame) => frame.object === '');
    if (index < 0) continue;
    below++;
    if (index === 0) {
      count(rows, 'the code itself');
      continue;
    }
    // The first frame is V8's way out, two more are wrappers by number of arguments, then comes the function.
    const [, , , host, ...inside] = frames.slice(0, index).reverse().map(describe);
    const label = host?.label ?? 'on the way out and back';
    count(rows, label);
    const callee = inside.find((one) => one.exact);
    if (callee === undefined) continue;
    if (!callees.has(label)) callees.set(label, new Map());
    count(callees.get(label), callee.label);
  }
  return { below, rows, callees };
}

const WAY_IN = /^proxy_wasm::ContextBase::(on\w+)/;

/**
 * What each way into the module costs: in its code, in functions of the host that the code calls, in entering and
 * leaving, and in what the host then does because of it, such as sending the answer. One inside another counts for
 * itself only.
 *
 * @returns {Map<string, { code: number, host: number, around: number, after: number }>}
 */
export function entries(samples, describe) {
  const table = new Map();
  for (const { frames } of samples) {
    const looked = frames.map(describe);
    const index = looked.findIndex(({ label }) => WAY_IN.test(label));
    if (index < 0) continue;
    const [, name] = WAY_IN.exec(looked[index].label);
    if (!table.has(name)) table.set(name, { code: 0, host: 0, around: 0, after: 0 });
    const row = table.get(name);
    const inside = frames.slice(0, index);
    if (inside[0]?.object === '') row.code++;
    else if (inside.some((frame) => frame.object === '')) row.host++;
    else if (looked.slice(0, index).some(({ label }) => label.startsWith('Envoy::Http::'))) row.after++;
    else row.around++;
  }
  return table;
}

/**
 * Whose work the bridge does: each sample goes to the nearest JavaScript file around it that is not Node's own, else to
 * the nearest of Node's, else to the part of Node it is in.
 *
 * @returns {Map<string, number>}
 */
export function owners(samples) {
  const sums = new Map();
  for (const { frames } of samples) {
    const looked = frames.map(foreignFrame);
    const files = looked.map(({ owner }) => owner).filter((owner) => owner !== undefined && owner !== '');
    const file = files.find((one) => !one.startsWith('node:')) ?? files[0];
    if (looked.length > 0) count(sums, file ?? `no JavaScript: ${looked[0].part}`);
  }
  return sums;
}

/** @returns {[string, number][]} the largest first */
export function top(counts, limit = Infinity) {
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, limit);
}

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function markdownTable(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function count(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
