import type { Random } from '../wire/random.js';
import type { H1Case } from './cases.js';

const GOOD = 'GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\n';
const SAVE = 'POST /v1.0/state/statestore HTTP/1.1\r\nHost: localhost\r\n';

/** What a parser of HTTP/1.1 must not fall for. */
const BROKEN: readonly string[] = [
  '\r\n\r\n',
  'GET\r\n\r\n',
  'GET /\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/2.0\r\nHost: localhost\r\n\r\n',
  'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n',
  'get / http/1.1\r\nHost: localhost\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET / /x HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'G\u0000T / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /\u0000 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  `${GOOD}no colon\r\n\r\n`,
  `${GOOD}a b: c\r\n\r\n`,
  `${GOOD}: c\r\n\r\n`,
  `${GOOD}x: a\u0000b\r\n\r\n`,
  `${GOOD}x: a\r b\r\n\r\n`,
  `${GOOD}x: a\r\n folded\r\n\r\n`,
  `${GOOD}Host: evil.example\r\n\r\n`,
  `${GOOD}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
  `${GOOD}Content-Length: -1\r\n\r\n`,
  `${GOOD}Content-Length: x\r\n\r\n`,
  `${GOOD}Content-Length: 99999999999999999999\r\n\r\n`,
  `${SAVE}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${SAVE}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  `${SAVE}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n`,
  `${SAVE}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  `${SAVE}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`,
  `${SAVE}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`,
  `${SAVE}Transfer-Encoding: chunked\r\n\r\n2\r\n[]x`,
  `${SAVE}Transfer-Encoding: chunked\r\n\r\ng\r\n`,
  `${SAVE}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(9_000)}\r\n[]\r\n0\r\n\r\n`,
  `${GOOD}${Array.from({ length: 300 }, (_, n) => `x${n}: y\r\n`).join('')}\r\n`,
  `${GOOD}x: ${'z'.repeat(70_000)}\r\n\r\n`,
  `GET /${'u'.repeat(70_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  'CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
  `${GOOD}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
  `${GOOD}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish that is no frame',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
];

/** Bytes that are no HTTP/1.1 request, or one that nobody should send. */
export function brokenRequest(random: Random): H1Case {
  const bytes = Buffer.from(random.pick(BROKEN), 'latin1');
  const mutated = random.oneIn(4) ? Buffer.from(random.mutate(bytes.subarray(0, 400))) : bytes;
  return {
    wire: 'h1',
    what: `no HTTP: ${JSON.stringify(mutated.subarray(0, 60).toString('latin1'))}`,
    parts: [mutated],
    // Whoever waits for the rest of a request is given a moment, and then nothing.
    ending: 'hang-up',
    head: false,
    grpc: false,
    notHttp: true,
  };
}
