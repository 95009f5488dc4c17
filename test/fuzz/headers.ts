import type { HeaderField } from '../support/h2/hpack.js';
import type { Random } from '../wire/random.js';

/** For calls that never end by themselves: they must not hold up the run. */
const SHORT_TIMEOUTS = ['100m', '50m', '20000u'];

const TIMEOUTS = [
  ...SHORT_TIMEOUTS,
  '1S',
  '0m',
  '1n',
  '1u',
  '99999999H',
  '',
  '1',
  'm',
  '-1S',
  '123456789S',
  '1.5S',
  ' 1S',
  '1S ',
  'S1',
  '0x1S',
  '1s',
];

const TRACES = [
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  '00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01',
  '00-00000000000000000000000000000000-0000000000000000-00',
  'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  '-'.repeat(55),
  '\u00ff'.repeat(55),
  '0'.repeat(54),
  '',
  '00',
];

/** Headers that mean something to the filter, to Envoy or to the filters between, with values they do not expect. */
const ODD: readonly (readonly [string, readonly string[]])[] = [
  ['traceparent', TRACES],
  ['tracestate', ['a=b', ',,,', '\u00e9']],
  ['if-match', ['1', '0', '"1"', '*', '', '99999999999999999999', 'a\tb', '\u00fe']],
  ['dapr-api-token', ['', 'x', '\u00e9'.repeat(40)]],
  ['dapr-app-id', ['', 'app', '/']],
  ['x-layotto-reply', ['1', '', 'x']],
  ['x-layotto-hold', ['1', '', 'x']],
  ['grpc-status', ['0', '13', 'x']],
  ['grpc-message', ['%', 'ok']],
  ['grpc-encoding', ['gzip', 'identity', 'x']],
  ['grpc-accept-encoding', ['gzip', '']],
  ['x-envoy-original-path', ['/admin']],
  ['x-envoy-upstream-rq-timeout-ms', ['1', '-1', 'x']],
  ['x-envoy-expected-rq-timeout-ms', ['1']],
  ['x-envoy-decorator-operation', ['x']],
  ['x-forwarded-for', ['1.2.3.4', ',', 'localhost']],
  ['x-forwarded-proto', ['https', 'x', '']],
  ['x-request-id', ['', 'x', '\u00ff']],
  ['expect', ['100-continue', 'nothing']],
  ['cookie', ['a=b', '=', ';']],
  ['cache-control', ['no-store', '']],
  ['range', ['bytes=0-1']],
  ['accept-encoding', ['gzip', '*']],
  ['content-encoding', ['gzip', 'x']],
  ['metadata.ttlinseconds', ['1']],
  ['x-long', ['x'.repeat(4_000)]],
];

/** Headers that say who calls; the policy looks at them. */
const WHO: readonly HeaderField[] = [
  ['origin', 'https://example.com'],
  ['origin', ''],
  ['origin', 'null'],
];

export const AUTHORITIES = [
  'localhost',
  'localhost:1',
  '127.0.0.1',
  '[::1]',
  '[',
  'evil.example',
  '1.2.3.4.5',
  '...',
  'x.localhost',
  '.localhost',
  'LOCALHOST:',
];

export const GRPC_TYPES = [
  'application/grpc',
  'application/grpc+proto',
  'application/grpc+',
  'application/grpc+json',
];

/** Content types of which Envoy and the filter must think the same. */
export const OTHER_TYPES = [
  'application/grpc-web',
  'application/grpc;charset=utf-8',
  'application/grpcx',
  'application/GRPC',
  'application/json',
  'text/plain',
  'x',
  '',
];

/** Headers beside those a request needs: mostly none. */
export function moreHeaders(random: Random): HeaderField[] {
  const fields: HeaderField[] = [];
  if (random.oneIn(6)) fields.push(['grpc-timeout', random.pick(TIMEOUTS)]);
  if (random.oneIn(30)) fields.push(random.pick(WHO));
  for (let left = random.oneIn(3) ? 1 + random.below(3) : 0; left > 0; left--) {
    const [name, values] = random.pick(ODD);
    fields.push([name, random.pick(values)]);
  }
  if (random.oneIn(200)) {
    for (let n = 0; n < 60; n++) fields.push([`x-many-${n}`, 'y'.repeat(random.below(200))]);
  }
  return fields;
}

/** Headers that no HTTP/2 request may have; what Envoy does with them is Envoy's affair, but it must do it. */
export function brokenHeaders(random: Random): [fields: HeaderField[], what: string] {
  const field = random.pick<HeaderField>([
    ['connection', 'close'],
    ['keep-alive', '1'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['proxy-connection', 'x'],
    ['te', 'gzip'],
    ['Upper', 'x'],
    ['a b', 'x'],
    ['', 'x'],
    ['x\u0000y', 'x'],
    ['x:y', 'x'],
    ['x-value', 'a\u0000b'],
    ['x-value', 'a\r\nx-layotto-reply: 1'],
    ['x-value', 'a\nb'],
    ['content-length', '5'],
    ['content-length', '-1'],
    ['content-length', '99999999999999999999'],
    ['content-length', 'x'],
    [':path', '/again'],
    [':status', '200'],
    [':protocol', 'websocket'],
    [':unknown', 'x'],
    ['x-huge', 'z'.repeat(70_000)],
    ['\u00e9', 'x'],
  ]);
  return [[field], `the header ${JSON.stringify(field[0])} with ${JSON.stringify(field[1].slice(0, 30))}`];
}

/** The headers with a short deadline in place of another. */
export function withShortDeadline(fields: readonly HeaderField[], random: Random): HeaderField[] {
  const others = fields.filter(([name]) => name !== 'grpc-timeout');
  return [...others, ['grpc-timeout', random.pick(SHORT_TIMEOUTS)]];
}
