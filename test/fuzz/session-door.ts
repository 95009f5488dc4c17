import { fromBinary } from '@bufbuild/protobuf';

import {
  FailureSchema,
  FrameSchema,
  Kind,
  type Frame,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import { unframe } from '../support/grpc-raw.js';
import type { H2Answer, H2Connection, H2Stream } from '../support/h2/connection.js';
import type { Target } from '../support/http1.js';
import { fieldOf, randomOf } from './cases.js';
import { h2Abuse } from './h2-abuse.js';
import { statusProblem, type Verdict } from './judge.js';
import { H2Pool } from './send-h2.js';
import { HEADERS, sessionCase, type SessionCase } from './session-frames.js';
import { abused, HANG_MS, storm, within, type StormOptions, type StormResult } from './storm.js';

/** The bridge takes 100 streams on a connection. */
const CONNECTIONS = 8;
/** Node sends GOAWAY on a connection of which 1000 streams were reset too fast. */
const INPUTS = 500;
/** Fewer than elsewhere: each input may hold several requests, and the filters' own sessions must not starve. */
const GROUPS = 32;

/** Kinds of frames that a bridge sends. */
const SENT = new Set([Kind.HELLO, Kind.RESULT, Kind.FAILURE, Kind.ACK, Kind.PUSH, Kind.PONG, Kind.GOAWAY]);

/** A storm on the bridge's own socket. @param limit `limits.message`, in bytes */
export async function sessionStorm(
  target: Target,
  options: StormOptions,
  limit: number,
  result?: StormResult,
): Promise<StormResult> {
  const pool = new H2Pool(target, CONNECTIONS, INPUTS);
  const inputOf = (index: number): SessionCase | { what: string; bytes: Buffer } => {
    const random = randomOf(options.seed, index);
    return random.oneIn(100) ? h2Abuse(random, HEADERS) : sessionCase(random, limit);
  };
  const shoot = async (index: number): Promise<Verdict> => {
    const input = inputOf(index);
    if ('bytes' in input) return abused(target, { parts: [input.bytes] });
    return within(HANG_MS, () => pool.lend(index, (connection) => send(connection, input)));
  };
  try {
    return await storm(
      { groups: GROUPS, ...options },
      (indexes) => Promise.all(indexes.map(shoot)),
      (index) => describe(inputOf(index)),
      result,
    );
  } finally {
    await pool.close();
  }
}

async function send(connection: H2Connection, input: SessionCase): Promise<Verdict> {
  const stream = connection.request(input.fields);
  const complete = input.wants.size > 0 ? answered(stream, input.wants) : undefined;
  input.parts.forEach((part) => connection.data(stream, part));
  if (input.ending === 'reset') {
    connection.reset(stream);
    return { kind: 'given up (reset)' };
  }
  if (complete !== undefined) await Promise.race([complete, stream.answer]);
  connection.data(stream, new Uint8Array(0), true);
  return judgeSession(input, await stream.answer);
}

/** Resolves when each request has an answer. */
function answered(stream: H2Stream, wants: ReadonlySet<number>): Promise<void> {
  const open = new Set(wants);
  let rest = Buffer.alloc(0);
  return new Promise((resolve) => {
    stream.onData = (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (const message of unframe(rest)) {
        rest = rest.subarray(5 + message.length);
        const frame = fromBinary(FrameSchema, message);
        if (frame.kind === Kind.RESULT || frame.kind === Kind.FAILURE) open.delete(Number(frame.id));
      }
      if (open.size === 0) resolve();
    };
  });
}

function judgeSession(input: SessionCase, answer: H2Answer): Verdict {
  const status = fieldOf(answer.headers, ':status');
  const wrong = (what: string): Verdict => ({
    problem: `${what}: status ${status}, reset ${answer.reset}, lost ${answer.lost}, ${answer.body.length} bytes`,
  });
  if (!answer.ended) return wrong('no whole answer');
  if (status === '405' || status === '415')
    return answer.body.length === 0 ? { kind: `HTTP ${status}` } : wrong('a body with it');
  if (status !== '200') return wrong('another HTTP status');
  if (fieldOf(answer.headers, 'content-type') !== 'application/grpc') return wrong('no gRPC');
  const carrier = answer.trailers ?? answer.headers;
  const problem = statusProblem(carrier) ?? framesProblem(input, answer.body);
  return problem === undefined ? { kind: `gRPC ${fieldOf(carrier, 'grpc-status')}` } : wrong(problem);
}

function framesProblem({ wants }: SessionCase, body: Buffer): string | undefined {
  const messages = unframe(body);
  const length = messages.reduce((sum, message) => sum + 5 + message.length, 0);
  if (length !== body.length) return 'it ends inside a frame';
  const answers = new Map<number, number>();
  for (const message of messages) {
    let frame: Frame;
    try {
      frame = fromBinary(FrameSchema, message);
      if (frame.kind === Kind.FAILURE) {
        const { code } = fromBinary(FailureSchema, frame.payload);
        if (code < 1 || code > 16) return `a failure with the code ${code}`;
      }
    } catch {
      return 'a frame that cannot be read';
    }
    if (!SENT.has(frame.kind)) return `a frame of the kind ${frame.kind}`;
    if (frame.kind !== Kind.RESULT && frame.kind !== Kind.FAILURE) continue;
    const id = Number(frame.id);
    answers.set(id, (answers.get(id) ?? 0) + 1);
  }
  for (const id of wants)
    if (answers.get(id) !== 1) return `${answers.get(id) ?? 0} answers to the request ${id}`;
  return undefined;
}

function describe(input: SessionCase | { what: string; bytes: Buffer }): string {
  if ('bytes' in input) return `abuse: ${input.what}; ${input.bytes.subarray(0, 600).toString('hex')}`;
  const { what, fields, parts, ending, wants } = input;
  const headers = fields.map(([name, value]) => `${name}: ${value.slice(0, 80)}`).join('; ');
  const bytes = parts.map((part) => Buffer.from(part).toString('hex')).join('|');
  return `${what}; ${headers}; ends with ${ending}; wants ${[...wants].join(', ')}\n  ${bytes.slice(0, 2_000)}`;
}
