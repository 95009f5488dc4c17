import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';

import { type Entry, Harness, type Outcome } from './harness.js';
import { MESSAGE_KINDS } from './message-kinds.js';
import { normalise, Refused } from './protobuf-oracle.js';
import { failure, Random } from './random.js';
import { randomMessage } from './random-message.js';

const INPUTS = 100_000;
const BATCH = 2_000;

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

function makeEntries(random: Random): Entry[] {
  return Array.from({ length: BATCH }, (_, i) => {
    // every other message is one with every kind of field
    const kind = i % 2 === 0 ? 0 : random.below(MESSAGE_KINDS.length);
    const bytes = randomMessage(MESSAGE_KINDS[kind]!, random);
    if (random.oneIn(40)) return { kind, bytes: random.bytes(random.below(40)) };
    return { kind, bytes: i % 4 < 2 ? bytes : random.mutate(bytes) };
  });
}

const known = { readUnknownFields: false };

function isReadable(desc: DescMessage, bytes: Uint8Array): boolean {
  try {
    fromBinary(desc, bytes);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with an outcome, if something is; counts what was accepted. */
function problemOf(
  { kind, bytes }: Entry,
  outcome: Outcome,
  tally: { accepted: number },
): string | undefined {
  const desc = MESSAGE_KINDS[kind]!;
  let normal;
  try {
    normal = normalise(desc, bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (outcome.status !== 0) return `${desc.name} was accepted: ${error.message}`;
    return error.stricter || !isReadable(desc, bytes) ? undefined : `protobuf-es accepts: ${error.message}`;
  }
  if (outcome.status !== 1) return `${desc.name} was refused`;
  tally.accepted++;
  const expected = toBinary(desc, fromBinary(desc, normal.bytes));
  const actual = toBinary(desc, fromBinary(desc, outcome.bytes, known));
  if (!Buffer.from(expected).equals(actual)) return `${desc.name} was read as something else`;
  if (normal.mismatched > 0) return undefined;
  const direct = toBinary(desc, fromBinary(desc, bytes, known));
  return Buffer.from(direct).equals(actual) ? undefined : `${desc.name}: protobuf-es reads something else`;
}

test(`${INPUTS} random and mutated messages are read as @bufbuild/protobuf reads them`, () => {
  const random = Random.announced('protobuf');
  const tally = { accepted: 0 };
  let entries: Entry[] = [];
  for (let done = 0; done < INPUTS; done += BATCH) {
    entries = makeEntries(random);
    harness.batch('protobufBatch', entries).forEach((outcome, i) => {
      const problem = problemOf(entries[i]!, outcome, tally);
      if (problem) throw failure('protobuf', random.seed, entries[i]!.bytes, problem);
    });
  }
  // both ways must have been tried in earnest
  expect(tally.accepted).toBeGreaterThan(INPUTS * 0.5);
  expect(tally.accepted).toBeLessThan(INPUTS * 0.9);
  for (let i = 0; i < 10; i++) harness.batch('protobufBatch', entries);
  const settled = harness.memoryBytes;
  for (let i = 0; i < 40; i++) harness.batch('protobufBatch', entries);
  expect(harness.memoryBytes).toBe(settled);
}, 120_000);
