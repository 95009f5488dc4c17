import { SERVERS, isReference } from './cases.mjs';
import { DOORS, protocolOf, size } from './report.mjs';

/** A colour for each process, told apart also by those who do not see red and green as others do. */
const PROCESS_COLOURS = {
  Envoy: '#0072b2',
  bridge: '#e69f00',
  daprd: '#009e73',
  sidecar: '#56b4e9',
  'ioredis loop': '#cc79a7',
  Redis: '#bbbbbb',
};
const FONT = 'font-family="sans-serif" font-size="12" fill="#222"';
const WIDTH = 900;
/** Where bars begin: beside the longest label. */
const LEFT = 350;

/**
 * The pictures of a run, by file name; those that nothing was measured for are left out.
 *
 * @param {import('./summary.mjs').Row[]} rows
 * @returns {Record<string, string>} SVG
 */
export function plots(rows) {
  const pictures = {};
  const usual = rows.filter(({ bytes }) => bytes === 1024);
  for (const inflight of [1, 16, 64]) {
    const shown = usual.filter((row) => row.inflight === inflight);
    if (shown.length > 0) pictures[`cpu-${inflight}.svg`] = cpuBars(shown, inflight);
  }
  const reads = usual.filter(({ call, server }) => call === 'get' && !isReference(server));
  if (reads.length > 0) pictures['latency.svg'] = latencyBars(reads);
  return pictures;
}

function cpuBars(rows, inflight) {
  const names = Object.keys(PROCESS_COLOURS).filter((name) => rows.some(({ cpu }) => name in cpu));
  const most = Math.max(...rows.map(({ cpu }) => total(cpu)));
  const scale = (WIDTH - LEFT - 70) / most;
  const parts = [
    text(12, 22, `CPU per call at ${inflight} in flight, ${size(rows[0].bytes)}, microseconds`, 'bold'),
  ];
  parts.push(legend(names.map((name) => [name, PROCESS_COLOURS[name]])));
  rows.forEach((row, index) => {
    const y = 64 + index * 22;
    parts.push(text(LEFT - 8, y + 12, label(row), '', 'end'));
    let x = LEFT;
    for (const name of names) {
      const width = (row.cpu[name]?.median ?? 0) * scale;
      if (width === 0) continue;
      parts.push(
        rectangle(x, y, width, 16, PROCESS_COLOURS[name], `${name} ${row.cpu[name].median.toFixed(1)} µs`),
      );
      x += width;
    }
    parts.push(text(x + 6, y + 12, total(row.cpu).toFixed(0)));
  });
  return svg(WIDTH, 64 + rows.length * 22 + 12, parts);
}

/** A bar for each p50, with a scale of its own for each number in flight; p99 stands beside it in figures. */
function latencyBars(rows) {
  const parts = [text(12, 22, `Time of a GetState, ${size(rows[0].bytes)}, milliseconds: p50 (p99)`, 'bold')];
  let y = 36;
  for (const inflight of new Set(rows.map((row) => row.inflight))) {
    const members = rows.filter((row) => row.inflight === inflight);
    const scale = (WIDTH - LEFT - 130) / Math.max(...members.map(({ p50 }) => p50.median));
    parts.push(text(12, y + 20, `${inflight} in flight`, 'bold'));
    y += 28;
    for (const row of members) {
      const { title, program } = SERVERS[row.server];
      const width = row.p50.median * scale;
      parts.push(text(LEFT - 8, y + 12, `${title}, ${DOORS[row.door]}`, '', 'end'));
      parts.push(rectangle(LEFT, y, width, 16, PROCESS_COLOURS[program === 'daprd' ? 'daprd' : 'Envoy']));
      parts.push(
        text(LEFT + width + 6, y + 12, `${row.p50.median.toFixed(2)} (${row.p99.median.toFixed(2)})`),
      );
      y += 22;
    }
  }
  return svg(WIDTH, y + 12, parts);
}

function label({ server, door, call }) {
  const title = SERVERS[server].title.replaceAll('`', '');
  if (!isReference(server)) return `${title}: ${call}, ${DOORS[door]}`;
  return door === 'none' ? title : `${title}, ${protocolOf(door)}`;
}

function total(cpu) {
  return Object.values(cpu).reduce((sum, { median }) => sum + median, 0);
}

function legend(entries) {
  return entries
    .map(
      ([name, colour], index) =>
        rectangle(LEFT + index * 92, 36, 12, 12, colour) + text(LEFT + 17 + index * 92, 47, name),
    )
    .join('');
}

function rectangle(x, y, width, height, colour, title = '') {
  const size_ = `x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${height}"`;
  return `<rect ${size_} fill="${colour}">${title === '' ? '' : `<title>${escape(title)}</title>`}</rect>`;
}

function text(x, y, content, weight = '', anchor = 'start') {
  const bold = weight === '' ? '' : ` font-weight="${weight}"`;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" ${FONT}${bold}>${escape(content)}</text>`;
}

function svg(width, height, parts) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`;
  return [head, `<rect width="${width}" height="${height}" fill="#fff"/>`, ...parts, '</svg>', ''].join('\n');
}

function escape(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
