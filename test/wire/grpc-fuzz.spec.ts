import { type Entry, Harness, type Outcome } from './harness.js';
import { failure, Random } from './random.js';

const INPUTS = 100_000;
const BATCH = 5_000;

/** The numbers of FrameStatus in assembly/wire/grpc.ts. */
enum Status {
  OK,
  EMPTY,
  INCOMPLETE,
  COMPRESSED,
  TOO_MANY,
  BAD_FLAG,
}

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

/** What gRPC's "Length-Prefixed-Message" rule says of a body that should be one message. */
function readBody(body: Uint8Array): { status: Status; message?: Uint8Array } {
  if (body.length === 0) return { status: Status.EMPTY };
  if (body[0]! > 1) return { status: Status.BAD_FLAG };
  if (body.length < 5) return { status: Status.INCOMPLETE };
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  const message = body.subarray(5, 5 + length);
  if (message.length < length) return { status: Status.INCOMPLETE };
  if (body[0] === 1) return { status: Status.COMPRESSED };
  return body.length > 5 + length ? { status: Status.TOO_MANY } : { status: Status.OK, message };
}

function frame(message: Uint8Array, flag = 0): Uint8Array {
  const body = Buffer.alloc(5 + message.length);
  body[0] = flag;
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  return body;
}

function makeEntries(random: Random): Entry[] {
  return Array.from({ length: BATCH }, (_, i) => {
    const body = frame(random.bytes(random.below(40)), random.oneIn(8) ? 1 : 0);
    if (i % 3 === 0) return { kind: 0, bytes: body };
    if (i % 3 === 1) return { kind: 0, bytes: random.mutate(body) };
    return {
      kind: 0,
      bytes: random.oneIn(2) ? random.bytes(random.below(12)) : Buffer.concat([body, frame(body)]),
    };
  });
}

function problemOf({ bytes }: Entry, outcome: Outcome): string | undefined {
  const { status, message } = readBody(bytes);
  if (outcome.status !== Number(status)) return `status ${outcome.status} instead of ${status}`;
  return Buffer.from(message ?? []).equals(outcome.bytes) ? undefined : 'another message';
}

test(`${INPUTS} random and mutated bodies are taken apart as gRPC says`, () => {
  const random = Random.announced('grpc');
  const seen = new Map<number, number>();
  let entries: Entry[] = [];
  for (let done = 0; done < INPUTS; done += BATCH) {
    entries = makeEntries(random);
    harness.batch('grpcBatch', entries).forEach((outcome, i) => {
      const problem = problemOf(entries[i]!, outcome);
      if (problem) throw failure('grpc', random.seed, entries[i]!.bytes, problem);
      seen.set(outcome.status, (seen.get(outcome.status) ?? 0) + 1);
    });
  }
  // each verdict was reached often
  for (const status of [0, 1, 2, 3, 4, 5] as Status[]) {
    expect(seen.get(status)).toBeGreaterThan(INPUTS / 200);
  }
  for (let i = 0; i < 10; i++) harness.batch('grpcBatch', entries);
  const settled = harness.memoryBytes;
  for (let i = 0; i < 40; i++) harness.batch('grpcBatch', entries);
  expect(harness.memoryBytes).toBe(settled);
}, 120_000);
