import { create, toBinary } from '@bufbuild/protobuf';

import {
  FrameSchema,
  HelloSchema,
  Kind,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import { grpcFrame } from '../support/grpc-raw.js';
import type { HeaderField } from '../support/h2/hpack.js';
import { SESSION_PATH } from '../support/session-client.js';
import { randomMessage } from '../wire/random-message.js';
import type { Random } from '../wire/random.js';
import { inPieces } from './delivery.js';
import { aFraming, aMessage, STATE_METHODS } from './messages.js';

/** One input for the bridge's socket: a stream, well-behaved or not. */
export interface SessionCase {
  what: string;
  fields: HeaderField[];
  parts: Uint8Array[];
  ending: 'end' | 'reset';
  /** Ids of requests that must be answered before the client ends the stream; none if the input may be refused. */
  wants: Set<number>;
}

export const HEADERS: HeaderField[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'localhost'],
  [':path', SESSION_PATH],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

const SERVICE = 'layotto.bridge.v1.State/';

/** @param limit `limits.message`, in bytes */
export function sessionCase(random: Random, limit: number): SessionCase {
  const choice = random.below(100);
  if (choice < 30) return orderly(random, limit);
  if (choice < 45) return wrongHello(random);
  if (choice < 52) return noSession(random);
  const { frames, what } = choice < 80 ? hostileFrames(random, limit) : mutatedFrames(random, limit);
  return {
    what,
    fields: HEADERS,
    parts: inPieces(frames, random),
    ending: random.oneIn(6) ? 'reset' : 'end',
    wants: new Set(),
  };
}

/** A hello and requests as the filter sends them; whatever their messages hold, each has to be answered. */
function orderly(random: Random, limit: number): SessionCase {
  const wants = new Set<number>();
  // A pair that no other input has: its ids are its own, and its answers come to it.
  const frames = [hello(random, { pairId: random.oneIn(2) ? 0n : random.word() | (1n << 63n) })];
  for (let left = random.below(4); left > 0; left--) {
    const id = 1 + random.below(1_000_000);
    if (wants.has(id)) continue;
    wants.add(id);
    frames.push(request(id, random, limit));
  }
  const parts = inPieces(Buffer.concat(frames), random);
  return { what: `a hello and ${wants.size} requests`, fields: HEADERS, parts, ending: 'end', wants };
}

function request(id: number, random: Random, limit: number): Buffer {
  const method = random.pick(STATE_METHODS);
  const [message] = aMessage(method, random, limit);
  return frame({
    id: BigInt(id),
    kind: Kind.REQUEST,
    method: random.oneIn(10)
      ? random.pick(['', 'x', SERVICE, 'm'.repeat(2_000), 'é'])
      : SERVICE + method.name,
    payload: message,
    deadlineMs: random.pick([0, 1, 50, 4_294_967_295]),
  });
}

type FrameInit = Parameters<typeof create<typeof FrameSchema>>[1];

function frame(init: FrameInit): Buffer {
  return grpcFrame(toBinary(FrameSchema, create(FrameSchema, init)));
}

/** @param random its pair is one that no filter has: they count in random numbers of 64 bits */
function hello(random: Random, more: object = {}): Buffer {
  const pairId = random.oneIn(4) ? 0n : BigInt(1 + random.below(64));
  const said = {
    protocol: 1,
    name: random.text(),
    pairId,
    large: random.oneIn(2),
    appId: random.text(),
    ...more,
  };
  return frame({ kind: Kind.HELLO, payload: toBinary(HelloSchema, create(HelloSchema, said)) });
}

function wrongHello(random: Random): SessionCase {
  const [bytes, what] = random.pick<() => [Buffer, string]>([
    () => [hello(random, { protocol: random.pick([0, 2, 4_294_967_295]) }), 'another protocol'],
    () => [frame({ kind: Kind.HELLO, payload: random.bytes(random.below(30)) }), 'a hello of random bytes'],
    () => [frame({ kind: Kind.HELLO, payload: random.mutate(hello(random).subarray(9)) }), 'a mutated hello'],
    () => [frame({ kind: random.below(40), payload: random.bytes(4) }), 'something else than a hello'],
    () => [request(1, random, 1_000), 'a request instead of a hello'],
    () => [Buffer.concat([hello(random), hello(random)]), 'two hellos'],
    () => [hello(random, { services: Array.from({ length: 500 }, () => random.text()) }), 'a long hello'],
    () => [hello(random, { configVersion: random.text(), version: '\u0000' }), 'odd texts'],
    () => [Buffer.alloc(0), 'nothing at all'],
  ])();
  return { what, fields: HEADERS, parts: inPieces(bytes, random), ending: 'end', wants: new Set() };
}

/** A stream that is not a session. */
function noSession(random: Random): SessionCase {
  const fields = HEADERS.map((field): HeaderField => field);
  const [index, value] = random.pick([
    [0, random.pick(['GET', 'HEAD', 'PUT', 'X'])],
    [3, random.pick(['/', '/layotto.bridge.v1.Bridge/Sessio', `/${'p'.repeat(9_000)}`, `${SESSION_PATH}?x`])],
    [4, random.pick(['application/json', '', 'application/grpc-web', 'application/grpc;x', 'text/plain'])],
    [2, random.pick(['evil.example', 'localhost:1'])],
  ] as const);
  fields[index] = [fields[index]?.[0] ?? '', value];
  if (random.oneIn(3)) fields.push(['x-odd', '\u00ff'], ['cookie', 'a=b']);
  return {
    what: 'no session',
    fields,
    parts: inPieces(hello(random), random),
    ending: 'end',
    wants: new Set(),
  };
}

function hostileFrames(random: Random, limit: number): { frames: Buffer; what: string } {
  const frames = [hello(random)];
  const notes: string[] = [];
  for (let left = 1 + random.below(4); left > 0; left--) {
    const [bytes, what] = hostileFrame(random, limit);
    frames.push(bytes);
    notes.push(what);
  }
  return { frames: Buffer.concat(frames), what: notes.join(', ') };
}

function hostileFrame(random: Random, limit: number): [Buffer, string] {
  const id = BigInt(random.below(4));
  switch (random.below(12)) {
    case 0:
      return [frame({ id: 0n, kind: Kind.REQUEST, method: `${SERVICE}GetState` }), 'a request without id'];
    case 1: {
      const twice = request(7, random, limit);
      return [Buffer.concat([twice, twice]), 'an id in use'];
    }
    case 2:
      return [frame({ id: random.word(), kind: Kind.REQUEST, method: `${SERVICE}GetState` }), 'a huge id'];
    case 3:
      return [frame({ id, kind: random.below(300), payload: random.bytes(random.below(20)) }), 'any kind'];
    case 4:
      return [frame({ id, kind: Kind.CANCEL }), 'a cancel of nothing'];
    case 5: {
      const asked = Array.from({ length: 8 }, (_, n) => request(100 + n, random, limit));
      const taken = asked.map((_, n) => frame({ id: BigInt(100 + n), kind: Kind.CANCEL }));
      return [Buffer.concat([...asked, ...taken]), 'requests and their cancels'];
    }
    case 6:
      return [Buffer.concat(Array.from({ length: 50 }, () => frame({ id, kind: Kind.PING }))), 'pings'];
    case 7:
      return [
        frame({ id, kind: random.pick([Kind.RESULT, Kind.FAILURE, Kind.ACK, Kind.PUSH, Kind.GOAWAY]) }),
        "the bridge's own frames",
      ];
    case 8: {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(random.pick([limit + 64 * 1024 + 1, 0xffffffff, 0x7fffffff]), 1);
      return [Buffer.concat([head, random.bytes(20)]), 'a frame beyond the limit'];
    }
    case 9: {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(1 + random.below(limit), 1);
      return [Buffer.concat([head, random.bytes(1)]), 'a frame that does not end'];
    }
    case 10:
      return [aFraming(random.bytes(20), random)[0] as Buffer, 'a bad frame'];
    default:
      return [grpcFrame(randomMessage(FrameSchema, random)), 'random fields'];
  }
}

function mutatedFrames(random: Random, limit: number): { frames: Buffer; what: string } {
  const frames = [hello(random)];
  for (let left = random.below(4); left > 0; left--)
    frames.push(request(1 + random.below(100), random, limit));
  const whole = Buffer.concat(frames);
  const bytes = whole.subarray(0, 2_000);
  return { frames: Buffer.concat([random.mutate(bytes), whole.subarray(2_000)]), what: 'mutated frames' };
}
