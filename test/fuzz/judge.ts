import { fromBinary } from '@bufbuild/protobuf';

import { unframe } from '../support/grpc-raw.js';
import type { HeaderField } from '../support/h2/hpack.js';
import { fieldOf, isGrpc, type H1Case, type H2Case } from './cases.js';
import { METADATA_METHODS, STATE_METHODS } from './messages.js';

/** What came back for one input, over either protocol. */
export interface Answer {
  /** All of it came. */
  complete: boolean;
  /** HTTP status; 0 if no headers came. */
  status: number;
  headers: readonly HeaderField[];
  trailers: readonly HeaderField[] | undefined;
  body: Buffer;
  /** HTTP/2 error code of a reset. */
  reset?: number | undefined;
  /** The connection was lost. */
  lost: boolean;
}

/** What an answer is: a name for the count of its kind, or what is wrong with it. */
export type Verdict = { kind: string } | { problem: string };

/** The texts of Dapr's own API that are no JSON: a bad escape in a path, and a bad token. */
const PLAIN_TEXTS = new Set(['400 400 Bad Request', '401 invalid api token\n']);

/** Judges the answer to an input whose client waited for one. */
export function judge(input: H1Case | H2Case, answer: Answer): Verdict {
  const grpc = input.wire === 'h2' ? isGrpc(fieldOf(input.fields, 'content-type')) : input.grpc;
  if (input.notHttp && !isDoors(answer)) return judgeRefusal(answer);
  if (!answer.complete) return { problem: `no whole answer: ${brief(answer)}` };
  return grpc ? judgeGrpc(input, answer) : judgeHttp(input, answer);
}

/** Whether an answer came from the filter, or was at least dressed by it. */
function isDoors(answer: Answer): boolean {
  const type = fieldOf(answer.headers, 'content-type') ?? '';
  return answer.complete && (type.startsWith('application/') || answer.status === 204);
}

/** What Envoy says to what is not HTTP: an error without a body, a reset, or the end of the connection. */
function judgeRefusal(answer: Answer): Verdict {
  if (answer.status === 0) {
    const how = answer.lost
      ? 'connection closed'
      : answer.reset === undefined
        ? 'silence'
        : `reset ${answer.reset}`;
    return { kind: `not HTTP: ${how}` };
  }
  const refused = answer.status >= 400 && answer.status < 600;
  if (refused || PLAIN_TEXTS.has(`${answer.status} ${answer.body.toString('latin1')}`)) {
    const text = answer.body.subarray(0, 40).toString('latin1');
    return { kind: `not HTTP: ${answer.status}${text === '' ? '' : ` ${JSON.stringify(text)}`}` };
  }
  return { problem: `neither a refusal nor a door's answer: ${brief(answer)}` };
}

function judgeGrpc(input: H1Case | H2Case, answer: Answer): Verdict {
  const wrong = (what: string): Verdict => ({ problem: `${what}: ${brief(answer)}` });
  if (answer.status !== 200) return wrong(`HTTP status ${answer.status} over gRPC`);
  const type = fieldOf(answer.headers, 'content-type');
  if (type !== 'application/grpc') return wrong(`content type ${type}`);
  const trailersOnly = fieldOf(answer.headers, 'grpc-status') !== undefined;
  const carrier = trailersOnly ? answer.headers : (answer.trailers ?? []);
  const text = fieldOf(carrier, 'grpc-status');
  // HTTP/1.1 has no place for it after a body: no gRPC client speaks that.
  if (text === undefined)
    return input.wire === 'h1' ? { kind: 'gRPC over HTTP/1.1' } : wrong('no grpc-status');
  const problem = statusProblem(carrier);
  if (problem !== undefined) return wrong(problem);
  if (text !== '0')
    return answer.body.length === 0 ? { kind: `gRPC ${text}` } : wrong('a body with an error');
  const messages = unframe(answer.body);
  const [first] = messages;
  if (messages.length !== 1 || first?.length !== answer.body.length - 5)
    return wrong('not exactly one message');
  if (input.wire === 'h2' && !decodes(input, first)) return wrong('the message cannot be decoded');
  return { kind: 'gRPC 0' };
}

/** What is wrong with a gRPC status as its headers or trailers say it. */
export function statusProblem(carrier: readonly HeaderField[]): string | undefined {
  const status = fieldOf(carrier, 'grpc-status') ?? '';
  if (!/^(?:\d|1[0-6])$/.test(status)) return `grpc-status "${status}"`;
  const message = fieldOf(carrier, 'grpc-message') ?? '';
  if (!/^(?:[\x20-\x24\x26-\x7e]|%[0-9A-F]{2})*$/.test(message)) return 'grpc-message is not encoded';
  const details = fieldOf(carrier, 'grpc-status-details-bin') ?? '';
  return /^[A-Za-z0-9+/]*={0,2}$/.test(details) ? undefined : 'grpc-status-details-bin is no base64';
}

function decodes(input: H2Case, message: Uint8Array): boolean {
  const name = /\/(\w+)(?:\?|$)/.exec(fieldOf(input.fields, ':path') ?? '')?.[1];
  const output = [...STATE_METHODS, ...METADATA_METHODS].find((method) => method.name === name)?.output;
  if (output === undefined) return message.length === 0;
  try {
    fromBinary(output, message);
    return true;
  } catch {
    return false;
  }
}

function judgeHttp(input: H1Case | H2Case, answer: Answer): Verdict {
  const wrong = (what: string): Verdict => ({ problem: `${what}: ${brief(answer)}` });
  const { status, body } = answer;
  const head = input.wire === 'h1' ? input.head : fieldOf(input.fields, ':method') === 'HEAD';
  const length = fieldOf(answer.headers, 'content-length');
  if (status === 204) return body.length === 0 ? { kind: 'HTTP 204' } : wrong('a body with 204');
  if (head) return body.length === 0 ? { kind: `HTTP ${status} to HEAD` } : wrong('a body to HEAD');
  if (length !== undefined && Number(length) !== body.length) return wrong(`content-length ${length}`);
  if (PLAIN_TEXTS.has(`${status} ${body.toString('latin1')}`)) return { kind: `HTTP ${status} as text` };
  if (status !== 200 && (status < 400 || status > 599)) return wrong(`HTTP status ${status}`);
  if (fieldOf(answer.headers, 'content-type') !== 'application/json') return wrong('no JSON');
  // A stored value is whatever was stored, also over gRPC; everything else is JSON of this runtime's own.
  if (status === 200) return { kind: 'HTTP 200' };
  const { errorCode, message } = parse(body);
  if (typeof errorCode !== 'string' || errorCode === '' || typeof message !== 'string')
    return wrong("not the shape of Dapr's errors");
  return { kind: `HTTP ${status} ${errorCode}` };
}

function parse(body: Buffer): { errorCode?: unknown; message?: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return (JSON.parse(text) ?? {}) as { errorCode?: unknown; message?: unknown };
  } catch {
    return {};
  }
}

function brief({ status, reset, lost, complete, headers, trailers, body }: Answer): string {
  const text = JSON.stringify(body.subarray(0, 300).toString('latin1'));
  const shown = [...headers, ...(trailers ?? [])].map(([name, value]) => `${name}: ${value.slice(0, 300)}`);
  const how = `${complete ? 'whole' : 'not whole'}${reset === undefined ? '' : `, reset ${reset}`}${lost ? ', lost' : ''}`;
  return `status ${status} (${how}); ${shown.join('; ')}; body ${text}`;
}
