import type { Random } from '../wire/random.js';
import type { BodyKind } from './json-bodies.js';
import { aKey, aStore } from './messages.js';

/** A call of the Dapr HTTP API, before anything is done to it. */
export interface Call {
  method: string;
  path: string;
  /** The kind of JSON its body holds; undefined: none, or one that is no JSON. */
  body: BodyKind | undefined;
}

/** One of the calls that the door serves. */
export function aCall(random: Random): Call {
  const store = escaped(aStore(random));
  const state = `/v1.0/state/${store}`;
  const write = random.oneIn(2) ? 'POST' : 'PUT';
  const choice = random.below(100);
  if (choice < 25) return { method: 'GET', path: `${state}/${escaped(aKey(random))}`, body: undefined };
  if (choice < 45) return { method: write, path: state, body: 'save' };
  if (choice < 58) return { method: write, path: `${state}/bulk`, body: 'bulk' };
  if (choice < 72) return { method: write, path: `${state}/transaction`, body: 'transaction' };
  if (choice < 84) return { method: 'DELETE', path: `${state}/${escaped(aKey(random))}`, body: undefined };
  if (choice < 88) return { method: 'GET', path: '/v1.0/metadata', body: undefined };
  // Few keys: what the app sets stays for as long as Envoy lives.
  if (choice < 92) return { method: 'PUT', path: `/v1.0/metadata/m${random.below(8)}`, body: undefined };
  if (choice < 95) return { method: 'GET', path: '/v1.0/healthz', body: undefined };
  if (choice < 97) return { method: write, path: `/v1.0-alpha1/state/${store}/query`, body: 'bulk' };
  return { method: 'POST', path: random.pick(OTHERS), body: 'save' };
}

const OTHERS = [
  '/',
  '/v1.0',
  '/v1.0/invoke/app/method/x',
  '/v1.0/publish/pubsub/topic',
  '/v1.0-alpha1/crypto/vault/encrypt',
  '/v1.0/secrets/store/key',
  '/v2.0/state/statestore',
  '/metrics',
  '/favicon.ico',
];

function escaped(text: string): string {
  return encodeURIComponent(text);
}

/** What a path's bytes may be without breaking HTTP's own rules. */
const VISIBLE = /^[\x21-\x7e]*$/;

const INSERTS = [
  '%',
  '%z',
  '%zz',
  '%00',
  '%0a',
  '%2F',
  '%2f..%2f',
  '%7C%7C',
  '||',
  '%c3%28',
  '%ff',
  '%25',
  '+',
  '//',
  '/./',
  '/../',
  '/..',
  '/../../../',
  ';',
  ';a=b',
  '#',
  '\\',
  '?',
  '&',
  '=',
  '*',
  "'",
  '"',
  '<>',
  '{}',
  '\u00e9',
  '\u00ff',
];

/** The path with something in it that should not be, and what it is. */
export function twistedPath(path: string, random: Random): [path: string, what: string] {
  switch (random.below(6)) {
    case 0:
      return [path + '/'.repeat(1 + random.below(2_000)), 'many slashes'];
    case 1:
      return [`${path}/${'k'.repeat(random.pick([1_000, 8_000, 20_000]))}`, 'a long path'];
    case 2:
      return [path.replaceAll('/', '/'.repeat(1 + random.below(40))), 'slashes in a row'];
    case 3:
      return [
        random.pick(['', '*', 'x', 'http://localhost/v1.0/healthz', '//', '/..', '?', '/?']),
        'an odd path',
      ];
    default: {
      const insert = random.pick(INSERTS);
      const at = 1 + random.below(path.length);
      return [path.slice(0, at) + insert + path.slice(at), `${JSON.stringify(insert)} in the path`];
    }
  }
}

const QUERIES = [
  'metadata.ttlInSeconds=1',
  'metadata.ttlInSeconds=x',
  'metadata.=1',
  'metadata.a=%ff',
  'metadata.a=%zz',
  'metadata.%00=%00',
  'metadata.a=1&metadata.a=2',
  'consistency=strong',
  'consistency=some',
  'concurrency=first-write',
  'concurrency=%00',
  'a;b',
  '&&&',
  '===',
  '%',
  '%3d%26',
  'metadata.a',
];

/** A query string, question mark included; empty if there is none. */
export function aQuery(random: Random): string {
  if (!random.oneIn(3)) return '';
  if (random.oneIn(12)) {
    const pairs = Array.from(
      { length: random.pick([50, 400]) },
      (_, n) => `metadata.m${n}=${random.below(1000)}`,
    );
    return `?${pairs.join('&')}`;
  }
  return `?${Array.from({ length: 1 + random.below(3) }, () => random.pick(QUERIES)).join('&')}`;
}

/** Whether a request target keeps to HTTP's own rules. */
export function isTarget(target: string): boolean {
  return target.startsWith('/') && VISIBLE.test(target) && !target.includes('#');
}
