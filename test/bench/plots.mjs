import { SERVERS, referenceDoor } from './cases.mjs';
import { size } from './report.mjs';

/** A colour for each process, told apart also by those who do not see red and green as others do. */
const PROCESS_COLOURS = {
  Envoy: '#0072b2',
  bridge: '#e69f00',
  daprd: '#009e73',
  sidecar: '#56b4e9',
  'ioredis loop': '#cc79a7',
  Redis: '#bbbbbb',
};
const LINE_COLOURS = ['#0072b2', '#56b4e9', '#009e73', '#e69f00', '#cc79a7', '#666666'];
const FONT = 'font-family="sans-serif" font-size="12" fill="#222"';
const WIDTH = 860;
const LEFT = 300;

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
  const reads = usual.filter(
    ({ call, server }) => call === 'get' && server !== 'empty' && server !== 'ioredis',
  );
  if (reads.length > 0) pictures['latency.svg'] = latencyLines(reads);
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

/** p50 as a line, and above it p99 as a thinner one; both axes are logarithmic. */
function latencyLines(rows) {
  const height = 420;
  const [top, bottom, right] = [60, height - 40, WIDTH - 330];
  const kinds = new Map();
  for (const row of rows) {
    const key = `${SERVERS[row.server].title}, ${row.door}`;
    kinds.set(key, [...(kinds.get(key) ?? []), row]);
  }
  const values = rows.flatMap(({ p50, p99 }) => [p50.median, p99.median]);
  const [low, high] = [Math.log10(Math.min(...values) * 0.8), Math.log10(Math.max(...values) * 1.2)];
  const yOf = (value) => bottom - ((Math.log10(value) - low) / (high - low)) * (bottom - top);
  const xOf = (inflight) => 60 + (Math.log2(inflight) / 6) * (right - 80);
  const parts = [text(12, 22, `Time of a GetState, ${size(rows[0].bytes)}, milliseconds`, 'bold')];
  for (const tick of [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].filter(
    (one) => one > 10 ** low && one < 10 ** high,
  )) {
    parts.push(
      `<path d="M50 ${yOf(tick)}H${right}" stroke="#ddd"/>`,
      text(44, yOf(tick) + 4, String(tick), '', 'end'),
    );
  }
  for (const inflight of new Set(rows.map((row) => row.inflight)))
    parts.push(text(xOf(inflight), bottom + 20, `${inflight} in flight`, '', 'middle'));
  [...kinds].forEach(([title, members], index) => {
    const colour = LINE_COLOURS[index % LINE_COLOURS.length];
    const path = (figure) =>
      members
        .map((row, at) => `${at === 0 ? 'M' : 'L'}${xOf(row.inflight)} ${yOf(figure(row)).toFixed(1)}`)
        .join('');
    const line = (d, width, dash) =>
      `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-dasharray="${dash}"/>`;
    parts.push(
      line(
        path(({ p50 }) => p50.median),
        2.5,
        'none',
      ),
      line(
        path(({ p99 }) => p99.median),
        1,
        '4 3',
      ),
    );
    for (const row of members)
      parts.push(
        `<circle cx="${xOf(row.inflight)}" cy="${yOf(row.p50.median).toFixed(1)}" r="4" fill="${colour}"/>`,
      );
    parts.push(
      rectangle(right + 14, 70 + index * 22, 12, 12, colour),
      text(right + 32, 81 + index * 22, title),
    );
  });
  parts.push(text(right + 14, 84 + kinds.size * 22, 'thick: p50, dashed: p99'));
  return svg(WIDTH, height, parts);
}

function label({ server, door, call }) {
  const reference =
    server === 'empty' ? (referenceDoor(door) === 'dapr-http' ? ', HTTP/1.1' : ', HTTP/2') : '';
  const what = server === 'empty' || server === 'ioredis' ? reference : `: ${call}, ${door}`;
  return `${SERVERS[server].title.replaceAll('`', '')}${what}`;
}

function total(cpu) {
  return Object.values(cpu).reduce((sum, { median }) => sum + median, 0);
}

function legend(entries) {
  return entries
    .map(
      ([name, colour], index) =>
        rectangle(LEFT + index * 90, 36, 12, 12, colour) + text(LEFT + 17 + index * 90, 47, name),
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
