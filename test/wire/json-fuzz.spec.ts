import { type Entry, Harness, type Outcome } from './harness.js';
import { failure, Random } from './random.js';

const INPUTS = 100_000;
const BATCH = 2_000;
/** The depth the reader goes to; JSON.parse goes on. */
const MAX_DEPTH = 64;
const TOO_DEEP = 4;
const DISAGREE = 255;

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

const SYNTAX = new TextEncoder().encode('{}[]",:\\ \n0123456789-+.eEtruefalsnu/bx\u0000\u001f');

function space(random: Random): string {
  return random.oneIn(4) ? random.pick([' ', '\n', '\t', '\r\n', '  ']) : '';
}

function randomString(random: Random): string {
  let text = '"';
  for (const character of random.text(12)) {
    if (random.oneIn(6)) text += `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    else text += JSON.stringify(character).slice(1, -1);
  }
  if (random.oneIn(8))
    text += random.pick(['\\ud83d\\ude00', '\\ud83d', '\\ude00', '\\uD800\\u0041', '\\/', '\\b\\f']);
  return `${text}"`;
}

function randomNumber(random: Random): string {
  let text =
    (random.oneIn(3) ? '-' : '') +
    random.pick(['0', '7', '10', String(random.bits()), String(random.word())]);
  if (random.oneIn(3)) text += `.${random.below(1000)}`;
  if (random.oneIn(4)) text += `${random.pick(['e', 'E'])}${random.pick(['', '+', '-'])}${random.below(40)}`;
  return text;
}

function randomJson(random: Random, depth = 0): string {
  const before = space(random);
  const after = space(random);
  const kind = depth > 6 ? 2 + random.below(3) : random.below(5);
  const length = random.below(depth === 0 ? 6 : 4);
  let text: string;
  if (kind === 0) {
    const members = Array.from(
      { length },
      () => `${space(random)}${randomString(random)}${space(random)}:${randomJson(random, depth + 1)}`,
    );
    text = `{${members.join(',') || space(random)}}`;
  } else if (kind === 1) {
    text = `[${Array.from({ length }, () => randomJson(random, depth + 1)).join(',') || space(random)}]`;
  } else if (kind === 2) text = randomString(random);
  else if (kind === 3) text = randomNumber(random);
  else text = random.pick(['true', 'false', 'null']);
  return before + text + after;
}

function makeEntries(random: Random): Entry[] {
  return Array.from({ length: BATCH }, (_, i) => {
    if (random.oneIn(200))
      return { kind: 0, bytes: Buffer.from(nested(1 + random.below(2 * MAX_DEPTH), random)) };
    if (random.oneIn(60)) return { kind: 0, bytes: random.bytes(random.below(20)) };
    const bytes = Buffer.from(randomJson(random));
    return { kind: 0, bytes: i % 2 === 0 ? bytes : random.mutate(bytes, SYNTAX) };
  });
}

function nested(depth: number, random: Random): string {
  const object = random.oneIn(2);
  return (object ? '{"a":' : '[').repeat(depth) + 'null' + (object ? '}' : ']').repeat(depth);
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes as Go reads them: one U+FFFD for each byte that is not UTF-8 (TextDecoder makes fewer). */
function decode(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    let text = '';
    for (let at = 0; at < bytes.length;) {
      const length = [1, 2, 3, 4].find((size) => isCharacter(bytes.subarray(at, at + size)));
      text += length ? strict.decode(bytes.subarray(at, at + length)) : '\ufffd';
      at += length ?? 1;
    }
    return text;
  }
}

function isCharacter(bytes: Uint8Array): boolean {
  try {
    return [...strict.decode(bytes)].length === 1;
  } catch {
    return false;
  }
}

/** Escaped surrogates without their other half, as U+FFFD: what Go makes of them, and JSON.parse does not. */
function replaceLoneSurrogates(text: string): string {
  return text.replace(
    /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|[^])/g,
    (escape) => (escape.length === 6 ? '\\ufffd' : escape),
  );
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function problemOf({ bytes }: Entry, outcome: Outcome, tally: { accepted: number }): string | undefined {
  if (outcome.status === DISAGREE) return 'passing over the value and reading it disagree';
  const parsed = parse(replaceLoneSurrogates(decode(bytes)));
  if (outcome.status === TOO_DEEP) {
    return parsed && depthOf(parsed.value) <= MAX_DEPTH ? 'refused as too deep' : undefined;
  }
  const words = Buffer.from(outcome.bytes).toString();
  if (!parsed) {
    if (outcome.status === 0) return 'accepted';
    const known = /^(EOF|unexpected EOF|invalid character '.*' (looking for|after|in) .*)$/su;
    return outcome.status === 100 || known.test(words) ? undefined : `the error is "${words}"`;
  }
  if (outcome.status !== 0) return `refused: ${words}`;
  tally.accepted++;
  if (depthOf(parsed.value) > MAX_DEPTH) return 'accepted though too deep';
  return JSON.stringify(JSON.parse(words)) === JSON.stringify(parsed.value)
    ? undefined
    : 'read as something else';
}

test(`${INPUTS} random and mutated texts are read as JSON.parse reads them`, () => {
  const random = Random.announced('json');
  const tally = { accepted: 0 };
  let entries: Entry[] = [];
  for (let done = 0; done < INPUTS; done += BATCH) {
    entries = makeEntries(random);
    harness.batch('jsonBatch', entries).forEach((outcome, i) => {
      const problem = problemOf(entries[i]!, outcome, tally);
      if (problem) throw failure('json', random.seed, entries[i]!.bytes, problem);
    });
  }
  expect(tally.accepted).toBeGreaterThan(INPUTS * 0.5);
  expect(tally.accepted).toBeLessThan(INPUTS * 0.9);
  for (let i = 0; i < 10; i++) harness.batch('jsonBatch', entries);
  const settled = harness.memoryBytes;
  for (let i = 0; i < 40; i++) harness.batch('jsonBatch', entries);
  expect(harness.memoryBytes).toBe(settled);
}, 120_000);
