import type { HeaderField } from '../support/h2/hpack.js';
import { Random } from '../wire/random.js';

/** How a request stops. */
export type Ending =
  /** As it should: with the last byte of its body, or with its headers if it has none. */
  | 'end'
  /** With trailers. */
  | 'trailers'
  /** The client gives the stream up; nothing comes back that anybody waits for. */
  | 'reset'
  /** Never: whoever answers has to do so by the deadline. */
  | 'open'
  /** The client closes its connection. */
  | 'hang-up';

/** One input over HTTP/2. */
export interface H2Case {
  wire: 'h2';
  /** What is unusual about it, for people. */
  what: string;
  fields: HeaderField[];
  /** The body; each piece is a DATA frame of its own. */
  parts: Uint8Array[];
  ending: Ending;
  trailers: HeaderField[];
  /** It breaks HTTP's own rules, so that Envoy may refuse it before any door sees it. */
  notHttp: boolean;
}

/** One input over HTTP/1.1. */
export interface H1Case {
  wire: 'h1';
  what: string;
  /** The bytes, request line and headers included, in the pieces in which they are written. */
  parts: Uint8Array[];
  ending: 'end' | 'open' | 'hang-up';
  /** Its method is HEAD: the answer has no body, whatever its length says. */
  head: boolean;
  /** Its content type is gRPC's. */
  grpc: boolean;
  notHttp: boolean;
}

/** Bytes on a connection of their own, of which no answer is expected: only that the peer lives on. */
export interface RawCase {
  wire: 'raw';
  what: string;
  parts: Uint8Array[];
  ending: 'hang-up';
}

export type FuzzCase = H2Case | H1Case | RawCase;

/** The random numbers of one input: they follow from the run's seed and the input's number alone. */
export function randomOf(seed: number, index: number): Random {
  const mixed = new Random((seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0);
  mixed.bits();
  return mixed;
}

/** First value of a header, in whatever case its name was sent. */
export function fieldOf(fields: readonly HeaderField[], name: string): string | undefined {
  return fields.find(([own]) => own.toLowerCase() === name)?.[1];
}

/** Whether Envoy and the filter take a content type for gRPC. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType === 'application/grpc' || contentType?.startsWith('application/grpc+') === true;
}

/** Everything about an input, as text that fits into an error message. */
export function describeCase(input: FuzzCase): string {
  const body = input.parts.map((part) => Buffer.from(part).toString('latin1')).join('|');
  const lines = [`${input.wire}: ${input.what}; ends with: ${input.ending}`];
  if (input.wire === 'h2') {
    for (const [name, value] of input.fields) lines.push(`  ${JSON.stringify(name)}: ${quoted(value)}`);
    for (const [name, value] of input.trailers) lines.push(`  (trailer) ${name}: ${quoted(value)}`);
  }
  lines.push(`  body in ${input.parts.length} pieces: ${quoted(body)}`);
  return lines.join('\n');
}

function quoted(text: string): string {
  const shown = JSON.stringify(text.length > 1_500 ? text.slice(0, 1_500) : text);
  return text.length > 1_500 ? `${shown}… (${text.length} bytes)` : shown;
}
