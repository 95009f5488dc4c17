import { readFileSync } from 'node:fs';

import { createHmac } from 'node:crypto';

import { sleep } from '../wait.js';
import { ApolloStandIn } from './stand-in.js';

/** A request to a real Apollo 2.5.2, and what it answered. */
interface Pair {
  label: string;
  method: string;
  url: string;
  status: number;
  /** How long the answer took. */
  ms: number;
  reqHeaders?: Record<string, string>;
  reqBody?: string;
  headers: Record<string, string>;
  body: string;
}

const CONFIG_PORT = ':18080';
/** Longer than any answer of the stand-in that is not held. */
const HELD_MS = 500;
const HOLD_MS = 1_000;

const recording = (name: string): Pair[] =>
  JSON.parse(readFileSync(new URL(`recordings/${name}.json`, import.meta.url), 'utf8')) as Pair[];

/** Times, and keys of releases and branches, differ each time: replaced by what they are. */
function normalized(text: string): unknown {
  const plain = text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(\+0000)?/g, '<time>')
    .replaceAll(/\d{14}-[0-9a-f]{16}/g, '<key>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '<address>');
  try {
    return JSON.parse(plain);
  } catch {
    return plain;
  }
}

class Replay {
  /** Keys of the recording, each with the one of here that stands in its place. */
  readonly #keys = new Map<string, string>();
  #secret = '';

  constructor(private readonly standIn: ApolloStandIn) {}

  async send(pair: Pair): Promise<{ status: number; type: string | null; body: string }> {
    const base = pair.url.includes(CONFIG_PORT) ? this.standIn.meta : this.standIn.admin.url;
    const path = this.#here(pair.url.replace(/^http:\/\/[^/]+/, ''));
    const headers = { ...pair.reqHeaders };
    if (pair.reqBody !== undefined) {
      headers['content-type'] ??= pair.reqBody.startsWith('{')
        ? 'application/json'
        : 'application/x-www-form-urlencoded';
    }
    this.#sign(pair, path, headers);
    const body = pair.reqBody === undefined ? undefined : this.#here(pair.reqBody);
    const response = await fetch(base + path, {
      method: pair.method,
      headers,
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    this.#learn(pair.body, text);
    return { status: response.status, type: response.headers.get('content-type'), body: text };
  }

  /** Signatures hold for a minute: each is made anew, as right or wrong as it was. */
  #sign(pair: Pair, path: string, headers: Record<string, string>): void {
    const made = /"secret":"([^"]+)"/.exec(pair.body)?.[1];
    if (made !== undefined) this.#secret = made;
    const { Timestamp: then, Authorization: authorization = '' } = headers;
    if (then === undefined) return;
    const sign = (time: string): string => {
      const signature = createHmac('sha1', this.#secret).update(`${time}\n${path}`).digest('base64');
      return `Apollo layotto-it:${signature}`;
    };
    const wasRight = authorization === sign(then);
    const age = Date.parse(pair.headers.date ?? '') - Number(then);
    headers.Timestamp = String(Date.now() - (age > 60_000 ? age : 0));
    headers.Authorization = wasRight ? sign(headers.Timestamp) : authorization;
  }

  #learn(there: string, here: string): void {
    const pattern = /\d{14}-[0-9a-f]{16}/g;
    const found = here.match(pattern) ?? [];
    for (const [index, key] of (there.match(pattern) ?? []).entries()) {
      const other = found[index];
      if (other !== undefined) this.#keys.set(key, other);
    }
  }

  #here(text: string): string {
    return text.replaceAll(/\d{14}-[0-9a-f]{16}/g, (key) => this.#keys.get(key) ?? key);
  }
}

describe.each([
  ['access-keys-and-clusters', 57],
  ['public-namespaces-and-branches', 38],
])('the recording %s of a real Apollo', (name, count) => {
  it('is what the stand-in answers, too', async () => {
    const pairs = recording(name);
    expect(pairs).toHaveLength(count);
    const standIn = await ApolloStandIn.start({ holdMs: HOLD_MS });
    const replay = new Replay(standIn);
    const here: unknown[] = [];
    const there: unknown[] = [];
    try {
      for (let index = 0; index < pairs.length; index++) {
        const batch = [pairs[index] as Pair];
        // A question that was held was asked before the change after which it is recorded.
        const next = pairs[index + 1];
        if (next !== undefined && next.ms > HELD_MS && next.status === 200) {
          batch.unshift(next);
          index++;
        }
        const answers = batch.map(async (pair, order) => {
          if (order > 0) await sleep(100);
          return replay.send(pair);
        });
        for (const [order, pair] of batch.entries()) {
          const { status, type, body } = await (answers[order] as (typeof answers)[number]);
          here.push({ label: pair.label, status, type, body: normalized(body) });
          const recordedType = pair.headers['content-type'] ?? null;
          there.push({
            label: pair.label,
            status: pair.status,
            type: recordedType,
            body: normalized(pair.body),
          });
        }
      }
      expect(here).toEqual(there);
    } finally {
      await standIn.stop();
    }
  }, 20_000);
});
