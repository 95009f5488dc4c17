import { basename } from 'node:path';

/**
 * What a part of Envoy is called in the report, by the names of its classes. The first that matches is taken.
 *
 * @type {readonly (readonly [RegExp, string])[]}
 */
const ENVOY_PARTS = [
  [/^lua|^Envoy::Extensions::Filters::Common::Lua|HttpFilters::Lua/, 'Lua filter'],
  [/^(proxy_wasm::v8|wasm::|v8)/, 'V8 runtime: entering and leaving the module'],
  [/^proxy_wasm::|::Wasm::/, 'proxy-wasm host'],
  [/^(http2::|spdy::|Envoy::Http::Http2)/, 'HTTP/2 codec'],
  [/^(quiche::Balsa|quiche::Http|Envoy::Http::Http1)/, 'HTTP/1.1 codec'],
  [/^Envoy::(Http|StreamInfo|Formatter|Tracing)/, 'HTTP connection manager, filter chain, headers'],
  [/^Envoy::(Router|Upstream|Matcher)/, 'router and clusters'],
  [/^Envoy::Grpc/, 'gRPC client'],
  [/^Envoy::(Buffer|Event|Network|Io|Api|ThreadLocal|TcpProxy)/, 'network, events and buffers'],
  [/^Envoy::Stats/, 'statistics'],
  [/^(absl|tcmalloc)/, 'abseil'],
];

/**
 * Methods by their slot in the tables of the proxy-wasm host: the order of its declarations, as it is in Envoy 1.36 to
 * 1.40. Without them the most telling rows would be numbers.
 */
const CONTEXT_METHODS = {
  3: 'onGrpcReceive',
  6: 'onCreate',
  9: 'onTick',
  12: 'onDone',
  13: 'onLog',
  14: 'onDelete',
  21: 'onRequestHeaders',
  22: 'onRequestBody',
  23: 'onRequestTrailers',
  25: 'onResponseHeaders',
  26: 'onResponseBody',
  27: 'onResponseTrailers',
  36: 'log',
  38: 'getCurrentTimeNanoseconds',
  43: 'getBuffer',
  50: 'grpcSend',
  52: 'incrementMetric',
  53: 'recordMetric',
  55: 'getProperty',
  57: 'continueStream',
  59: 'sendLocalResponse',
  70: 'addHeaderMapValue',
  71: 'getHeaderMapValue',
  72: 'getHeaderMapPairs',
  73: 'setHeaderMapPairs',
  74: 'removeHeaderMapValue',
  75: 'replaceHeaderMapValue',
  76: 'getHeaderMapSize',
};
const BUFFER_METHODS = { 2: 'size', 3: 'copyTo', 4: 'copyFrom', 5: 'clear' };
const METHODS = {
  'proxy_wasm::ContextBase': CONTEXT_METHODS,
  'Envoy::Extensions::Common::Wasm::Context': CONTEXT_METHODS,
  'proxy_wasm::BufferBase': BUFFER_METHODS,
  'Envoy::Extensions::Common::Wasm::Buffer': BUFFER_METHODS,
};

/** Small functions that many parts use; what calls them says whose work they do. */
export const OTHER = 'rest of Envoy';

/**
 * Says for a frame of Envoy which part of it that is, and which function as well as is known.
 *
 * @param {import('./samples.mjs').Frame} frame
 * @param {import('./elf.mjs').Binary} binary Envoy's program
 * @param {string} program path of that program, as perf prints it
 * @returns {{ part: string, label: string, exact: boolean }} `exact`: the label is the function's own name
 */
export function envoyFrame(frame, binary, program) {
  if (frame.object === '') return { part: 'the module (wasm code)', label: 'wasm code', exact: false };
  if (frame.object !== program) return foreignFrame(frame);
  const address = binary.addressOf(frame.address);
  const { start, name, near } = binary.functionAt(address);
  const hex = start.toString(16);
  if (binary.sectionOf(address).includes('malloc'))
    return { part: 'allocator', label: `tcmalloc ${hex}`, exact: false };
  const known = name !== undefined && !name.startsWith('std::');
  if (known) return { part: partOf(name) ?? OTHER, label: `${withMethod(name)} ${hex}`, exact: true };
  const votes = new Map();
  for (const neighbour of near) {
    const part = partOf(neighbour);
    if (part !== undefined) votes.set(part, (votes.get(part) ?? 0) + 1);
  }
  const [part] = [...votes].sort((a, b) => b[1] - a[1])[0] ?? [OTHER];
  const close = near.find((one) => partOf(one) === part) ?? near[0] ?? '';
  return { part, label: `${hex} near ${close.replace(/#\d+$/, '')}`, exact: false };
}

/** The same for a frame of a program or library with symbols of its own, such as Node, and of the kernel. */
export function foreignFrame({ symbol, object }) {
  const name = symbol.replace(/\+0x[0-9a-f]+$/, '');
  if (object === '[kernel.kallsyms]' || object === '[kernel]')
    return { part: kernelPart(name), label: `kernel ${name}`, exact: true };
  if (object === '') return madeFrame(name);
  const file = basename(object);
  const part = file === 'node' ? (nodePart(name) ?? 'rest of Node') : file;
  return { part, label: `${file} ${name}`, exact: name !== '[unknown]' };
}

/** @type {readonly (readonly [RegExp, string])[]} */
const NODE_PARTS = [
  [/^Builtins_/, "V8's built-in functions"],
  [/ArrayBuffer|BackingStore/, 'buffers: allocating and freeing'],
  [/v8::internal::.*(Heap|Scaveng|Mark|Sweep|Evacuat|GCTracer|Space|Safepoint)/, 'garbage collection'],
  [/^nghttp2|http2::/, 'HTTP/2'],
  [/^uv_/, 'event loop'],
  [/^v8::|^non-virtual thunk to v8::/, 'V8, the rest'],
  [/node::/, "Node's own C++"],
];

function nodePart(name) {
  return NODE_PARTS.find(([pattern]) => pattern.test(name))?.[1];
}

/** Compiled JavaScript, as `node --perf-basic-prof` names it: `JS:*get file:///…/state.js:23:5` and the like. */
function madeFrame(symbol) {
  const nameless = { part: 'code made at run time', label: 'code made at run time', exact: false };
  if (symbol === '[unknown]') return nameless;
  const [, name, place = ''] = /^\w+:[*~^+]?(\S*)(?: (\S+))?/.exec(symbol) ?? [undefined, symbol];
  const file = place.replace(/^file:\/\//, '');
  const short = file.replace(/^.*\/(?:node_modules\/|(?=dist\/components-bridge\/))/, '');
  return {
    part: 'JavaScript',
    label: `${name || '(anonymous)'} ${short}`.trim(),
    exact: true,
    owner: short.replace(/(:\d+)+$/, ''),
  };
}

function withMethod(name) {
  const [type, slot] = name.split('#');
  const method = METHODS[type]?.[slot];
  return method === undefined ? name : `${type}::${method}`;
}

function kernelPart(name) {
  if (
    /^(finish_task_switch|schedule|__schedule|pick_next|try_to_wake|_raw_spin|select_task|update_)/.test(name)
  )
    return 'kernel: sleeping and waking';
  return 'kernel: sockets and the rest';
}

function partOf(name) {
  return ENVOY_PARTS.find(([pattern]) => pattern.test(name))?.[1];
}
