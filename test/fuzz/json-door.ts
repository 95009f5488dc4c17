import { described } from '../support/openapi.js';
import type { Random } from '../wire/random.js';
import { httpCase, type Request } from './http-door.js';
import { aJsonBody } from './json-bodies.js';
import type { FuzzCase } from './cases.js';
import { aKey, aStore } from './messages.js';

/** What there is, with examples; most inputs are for state, which the stormed runtime has. */
const OPERATIONS = described().filter(
  ({ path, method }) => /^\/v1\.0-layotto\//.test(path) && method === 'POST',
);
const OF_STATE = OPERATIONS.filter(({ path }) => /\/state\//.test(path));

const SYNTAX = new TextEncoder().encode('{}[]",:\\ \n0123456789-+.eEtruefalsnu/bx\u0000\u001f\u00ff');

/** Members that a request should not have, or not so; the text, because JSON.stringify would not write them. */
const ODD_MEMBERS = [
  '"storeName":"other"',
  '"store_name":"statestore"',
  '"storeName":null',
  '"st\\u006freName":"statestore"',
  '"nope":1',
  '"key":1e999',
  '"key":"\\ud800"',
  '"key":"a","key":"b"',
  '"keys":[null]',
  '"consistency":99999999999999999999',
  '"consistency":"CONSISTENCY_STRONG"',
  '"states":[{"key":"k1","value":"*"}]',
  '"states":[{"key":"k1","value":"aGk=","options":{"concurrency":7}}]',
  '"metadata":{"ttlInSeconds":"1","ttlInSeconds":"2"}',
  '"metadata":{"ttlInSeconds":1}',
  '"":""',
  '"@type":"x"',
  '"[layotto.bridge.v1.json]":{}',
];

/** An input for the JSON door. @param limit `limits.message`, in bytes */
export function jsonCase(random: Random, limit: number): FuzzCase {
  return httpCase(random, limit, aRequest);
}

function aRequest(random: Random, limit: number): Request {
  if (random.oneIn(200)) return { method: 'GET', path: '/v1.0-layotto/openapi.json', body: undefined };
  if (random.oneIn(200)) return { method: 'GET', path: '/v1.0-layotto/asyncapi.json', body: undefined };
  const { path, example } = random.pick(random.oneIn(6) ? OPERATIONS : OF_STATE);
  if (random.oneIn(50))
    return { method: 'POST', path: `${path.slice(0, -1)}`, body: aBody(example, random, limit) };
  return { method: 'POST', path, body: aBody(example, random, limit) };
}

function aBody(example: unknown, random: Random, limit: number): [body: Buffer, what: string] {
  const choice = random.below(100);
  const good = plausible(example, random);
  if (choice < 40) return [Buffer.from(good), 'plausible JSON'];
  if (choice < 65) return [Buffer.from(random.mutate(Buffer.from(good), SYNTAX)), 'mutated JSON'];
  if (choice < 80) {
    const odd = random.pick(ODD_MEMBERS);
    const [start, end] = random.oneIn(2) ? [`{${odd},`, good.slice(1)] : [good.slice(0, -1), `,${odd}}`];
    return [Buffer.from(start + end), `${odd} in it`];
  }
  const [hostile, what] = aJsonBody(random.pick(['save', 'bulk', 'transaction']), random, limit);
  if (random.oneIn(2)) return [hostile, what];
  const member = random.pick(['states', 'keys', 'metadata', 'storeName', 'x']);
  const parts = [`{"storeName":"statestore","${member}":`, hostile, '}'].map((part) =>
    Buffer.from(part as string),
  );
  return [Buffer.concat(parts), `${what} as ${member}`];
}

/** The example with other stores, keys and values. */
function plausible(example: unknown, random: Random): string {
  return JSON.stringify(example, (name, value: unknown) => {
    if (name === 'storeName') return aStore(random);
    if (name === 'key') return aKey(random);
    if (name === 'value') return Buffer.from(random.bytes(random.below(30))).toString('base64');
    return value;
  });
}
