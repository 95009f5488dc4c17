import type { Random } from '../wire/random.js';
import { aKey } from './messages.js';

/** Which of the Dapr HTTP API's bodies is meant. */
export type BodyKind = 'save' | 'bulk' | 'transaction';

const SYNTAX = new TextEncoder().encode('{}[]",:\\ \n0123456789-+.eEtruefalsnu/bx\u0000\u001f\u00ff');

/** Values that a decoder may trip over; the text, because JSON.stringify would not write them. */
const ODD_VALUES = [
  'null',
  '1e999',
  '-0',
  '12345678901234567890123456789',
  '0.1e-400',
  '"\\ud83d\\ude00"',
  '"\\ud83d"',
  '"\\ude00\\ud83d"',
  '"\\u0000"',
  '"\u2028"',
  '[[[[]]]]',
  '{"":{"":""}}',
  'true',
];

function anItem(random: Random): string {
  const members = [`"key":${JSON.stringify(aKey(random))}`];
  if (!random.oneIn(6)) members.push(`"value":${aValue(random)}`);
  if (random.oneIn(5)) members.push(`"etag":${random.pick(['"1"', '"x"', '""', 'null', '1', '{}'])}`);
  if (random.oneIn(5)) members.push(`"metadata":${someMetadata(random)}`);
  if (random.oneIn(6)) members.push(`"options":${someOptions(random)}`);
  if (random.oneIn(20))
    members.push(random.pick(['"key":"again"', '"KEY":"k1"', '"unknown":[1,{}]', '"key":7']));
  return `{${members.join(',')}}`;
}

function aValue(random: Random): string {
  return random.oneIn(4) ? random.pick(ODD_VALUES) : JSON.stringify({ v: random.text() });
}

function someMetadata(random: Random): string {
  return random.pick([
    '{"ttlInSeconds":"1"}',
    '{"ttlInSeconds":1}',
    '{"ttlInSeconds":"-5","ttlInSeconds":"x"}',
    '{"partitionKey":"p"}',
    'null',
    '[]',
    '{}',
  ]);
}

function someOptions(random: Random): string {
  return random.pick([
    '{"concurrency":"first-write","consistency":"strong"}',
    '{"concurrency":"last-write"}',
    '{"concurrency":"some-write"}',
    '{"consistency":5}',
    '"strong"',
    'null',
  ]);
}

function several(random: Random, one: () => string): string {
  const length = random.oneIn(40) ? random.below(80) : random.below(4);
  return `[${Array.from({ length }, one).join(',')}]`;
}

/** A body as a client might send it. */
export function plausibleJson(kind: BodyKind, random: Random): string {
  if (kind === 'save') return several(random, () => anItem(random));
  const metadata = random.oneIn(4) ? `,"metadata":${someMetadata(random)}` : '';
  if (kind === 'bulk') {
    const keys = several(random, () => JSON.stringify(aKey(random)));
    const parallelism = random.oneIn(3)
      ? `,"parallelism":${random.pick(['1', '-1', '1.5', '1e3', '"2"'])}`
      : '';
    return `{"keys":${keys}${parallelism}${metadata}}`;
  }
  const operations = several(random, () => {
    const type = random.oneIn(8) ? JSON.stringify(random.text(8)) : random.pick(['"upsert"', '"delete"']);
    return `{"operation":${type}${random.oneIn(12) ? '' : `,"request":${anItem(random)}`}}`;
  });
  return `{"operations":${operations}${metadata}}`;
}

/** A body that is anything from right to hostile, and what it is. */
export function aJsonBody(kind: BodyKind, random: Random, limit: number): [body: Buffer, what: string] {
  const choice = random.below(100);
  if (choice < 45) return [Buffer.from(plausibleJson(kind, random)), 'plausible JSON'];
  if (choice < 80) {
    const body = random.mutate(Buffer.from(plausibleJson(kind, random)), SYNTAX);
    return [Buffer.from(body), 'mutated JSON'];
  }
  if (choice < 84) return [Buffer.from(random.bytes(random.below(40))), 'random bytes'];
  if (choice < 86)
    return [Buffer.from(JSON.stringify('x'.repeat(limit - 6 + random.below(8)))), 'JSON near the limit'];
  return hostileJson(kind, random);
}

function hostileJson(kind: BodyKind, random: Random): [Buffer, string] {
  switch (random.below(9)) {
    case 0: {
      const depth = random.pick([63, 64, 65, 66, 5_000]);
      const open = random.pick(['[', '{"a":']);
      const close = open === '[' ? ']' : '}';
      const whole = random.oneIn(2) ? close.repeat(depth) : '';
      return [Buffer.from(`${open.repeat(depth)}1${whole}`), `nested ${depth} deep`];
    }
    case 1: {
      const escape = random.pick([
        '\\x41',
        '\\u12',
        '\\u{41}',
        '\\uD800\\u0041',
        '\\',
        "\\'",
        '\\u+123',
        '\\8',
      ]);
      return [Buffer.from(`[{"key":"${escape}","value":"${escape}"}]`), `the escape ${escape}`];
    }
    case 2: {
      const number = random.pick([
        '1e',
        '01',
        '.5',
        '5.',
        '-',
        '+1',
        '0x10',
        'NaN',
        'Infinity',
        '1_000',
        '9'.repeat(500),
      ]);
      return [Buffer.from(`[{"key":"k1","value":${number}}]`), `the number ${number.slice(0, 12)}`];
    }
    case 3:
      return [
        Buffer.from(random.pick(['', ' ', '\n\t', '\ufeff[]', 'null', '0', '""', 'true', '[]', '{}'])),
        'a bare value',
      ];
    case 4: {
      const bytes = random.pick(['ff', 'c328', 'c080', 'eda080', 'f4908080', '80']);
      const text = Buffer.from(bytes, 'hex').toString('latin1');
      return [
        Buffer.from(`[{"key":"${text}","value":"${text}"}]`, 'latin1'),
        `bytes that are not UTF-8 (${bytes})`,
      ];
    }
    case 5: {
      const count = random.pick([1_000, 3_000]);
      const one = random.pick(['{}', 'null', '{"key":"k"}', '""', '[]']);
      const list = Array.from({ length: count }, () => one).join(',');
      if (kind === 'save') return [Buffer.from(`[${list}]`), `${count} times ${one}`];
      return [
        Buffer.from(`{"${kind === 'bulk' ? 'keys' : 'operations'}":[${list}]}`),
        `${count} times ${one}`,
      ];
    }
    case 6: {
      const pairs = Array.from({ length: 500 }, (_, n) => `"m${n}":"${n}"`).join(',');
      return [Buffer.from(`[{"key":"k1","value":1,"metadata":{${pairs}}}]`), 'much metadata'];
    }
    case 7:
      return [
        Buffer.from(`${plausibleJson(kind, random)}${random.pick(['x', ',', ']', '}', ' {}', '\u0000'])}`),
        'more after the end',
      ];
    default:
      return [
        Buffer.from(plausibleJson(random.pick(['save', 'bulk', 'transaction']), random)),
        "another call's body",
      ];
  }
}
