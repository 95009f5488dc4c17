import type { HeaderField } from '../support/h2/hpack.js';
import type { Random } from '../wire/random.js';
import { isGrpc, type FuzzCase, type H1Case } from './cases.js';
import { anEnding, inPieces, someTrailers } from './delivery.js';
import { AUTHORITIES, brokenHeaders, moreHeaders, withShortDeadline } from './headers.js';
import { aJsonBody } from './json-bodies.js';
import { brokenRequest } from './not-http.js';
import { aCall, aQuery, isTarget, twistedPath } from './targets.js';

/** What a request is before it is known how it travels. */
interface Draft {
  method: string;
  target: string;
  authority: string;
  fields: HeaderField[];
  body: Uint8Array;
  notes: string[];
  notHttp: boolean;
}

/** A request of one of the HTTP doors, before headers and the way it travels are chosen. */
export interface Request {
  method: string;
  path: string;
  /** A body, and what it is. */
  body: [body: Buffer, what: string] | undefined;
}

const TYPES = ['application/json', 'application/json', '', 'text/plain', 'application/x-www-form-urlencoded'];

/**
 * An input for an HTTP door, by default Dapr's: over HTTP/1.1, or over HTTP/2.
 *
 * @param limit `limits.message`, in bytes
 */
export function httpCase(random: Random, limit: number, aRequest = aDaprRequest): FuzzCase {
  if (random.oneIn(40)) return brokenRequest(random);
  const draft = aDraft(aRequest(random, limit), random);
  return random.oneIn(3) ? overHttp2(draft, random) : overHttp1(draft, random);
}

function aDaprRequest(random: Random, limit: number): Request {
  const { method, path, body } = aCall(random);
  return { method, path, body: body === undefined ? undefined : aJsonBody(body, random, limit) };
}

function aDraft(request: Request, random: Random): Draft {
  let { method, path } = request;
  const notes = [`${method} ${path.slice(0, 40)}`];
  let body: Uint8Array = new Uint8Array(0);
  if (request.body !== undefined) {
    const [json, what] = request.body;
    body = json;
    notes.push(what);
  } else if (method === 'PUT' || random.oneIn(20)) {
    body = random.bytes(random.below(30));
    notes.push('some bytes as body');
  }
  if (random.oneIn(6)) {
    const [twisted, what] = twistedPath(path, random);
    path = twisted;
    notes.push(what);
  }
  if (random.oneIn(40)) {
    method = random.pick(['GET', 'HEAD', 'OPTIONS', 'PATCH', 'DELETE', 'TRACE', 'POST', 'QUERY']);
    notes.push(`the method ${method}`);
  }
  const target = path + aQuery(random);
  // Envoy's HTTP/1.1 knows no method of that name.
  const known = method !== 'QUERY';
  const fields = moreHeaders(random);
  const type = random.pick(TYPES);
  if (type !== '') fields.push(['content-type', type]);
  const authority = random.oneIn(40) ? random.pick(AUTHORITIES) : 'localhost';
  return { method, target, authority, fields, body, notes, notHttp: !known || !isTarget(target) };
}

function overHttp2(draft: Draft, random: Random): FuzzCase {
  const { method, target, authority, body, notes } = draft;
  let { fields, notHttp } = draft;
  if (random.oneIn(50)) {
    const [broken, why] = brokenHeaders(random);
    fields = [...fields, ...broken];
    notes.push(why);
    notHttp = true;
  }
  const ending = anEnding(random);
  if (ending === 'open') fields = withShortDeadline(fields, random);
  return {
    wire: 'h2',
    what: notes.join(', '),
    fields: [
      [':method', method],
      [':scheme', 'http'],
      [':authority', authority],
      [':path', target],
      ...fields,
    ],
    parts: inPieces(body, random),
    ending,
    trailers: ending === 'trailers' ? someTrailers(random) : [],
    notHttp,
  };
}

function overHttp1(draft: Draft, random: Random): H1Case {
  const { method, target, authority, body, notes } = draft;
  const choice = random.below(100);
  const ending = choice < 94 ? 'end' : choice < 98 ? 'hang-up' : 'open';
  let fields = draft.fields.filter(([name]) => name !== 'expect' || random.oneIn(2));
  if (ending === 'open') fields = withShortDeadline(fields, random);
  const chunked = body.length > 0 && random.oneIn(3);
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${authority}`];
  for (const [name, value] of fields) head.push(`${name}: ${value}`);
  if (chunked) head.push('Transfer-Encoding: chunked');
  else if (body.length > 0 || !['GET', 'HEAD', 'DELETE'].includes(method))
    head.push(`Content-Length: ${body.length}`);
  const start = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  const parts = [start, ...(chunked ? chunks(body, random) : inPieces(body, random))];
  if (ending !== 'end') parts.splice(1 + random.below(parts.length));
  return {
    wire: 'h1',
    what: notes.join(', ') + (chunked ? ', chunked' : ''),
    // Pieces of their own cost a write each; they are joined where the cut does not matter to what is tested.
    parts: random.oneIn(4) ? parts : [Buffer.concat(parts)],
    ending,
    head: method === 'HEAD',
    grpc: isGrpc(fields.find(([name]) => name === 'content-type')?.[1]),
    notHttp: draft.notHttp || fields.some(([, value]) => value !== value.trim() && value.trim() === ''),
  };
}

/** The body as chunks, and now and then trailers behind them. */
export function chunks(body: Uint8Array, random: Random): Uint8Array[] {
  const parts = inPieces(body, random)
    .filter((piece) => piece.length > 0)
    .map((piece) => {
      const extension = random.oneIn(20) ? ';a=b' : '';
      return Buffer.concat([
        Buffer.from(`${piece.length.toString(16)}${extension}\r\n`),
        piece,
        Buffer.from('\r\n'),
      ]);
    });
  const trailers = random.oneIn(10) ? 'x-trailer: x\r\n' : '';
  return [...parts, Buffer.from(`0\r\n${trailers}\r\n`)];
}
