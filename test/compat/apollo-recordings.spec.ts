import { readFileSync } from 'node:fs';

import { ApolloStandIn } from '../../tools/apollo/stand-in.js';
import { eventually } from '../support/wait.js';

/**
 * What a real Apollo answered, asked again of the stand-in: each answer must be the same, but for what is new each
 * time, which must look alike: times, and the names of releases and branches.
 */

interface Row {
  label: string;
  method: string;
  url: string;
  requestHeaders?: Record<string, string>;
  requestBody?: string;
  status: number;
  ms: number;
  headers: Record<string, string>;
  body: string;
}

const CONFIG = 'http://127.0.0.1:18080';
const ADMIN = 'http://127.0.0.1:18090';
/** Names of releases and branches: the time they were made, and something that no other has. */
const STAMP = /\b\d{14}-[0-9a-f]{16}\b/g;
/** A time in JSON, as Apollo's error answers and everything that was made have it. */
const TIME = /"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(\+0000)?"/g;
/** Headers that clients go by. */
const HEADERS = ['content-type', 'cache-control', 'pragma', 'expires'];

function rowsOf(file: string): Row[] {
  return JSON.parse(readFileSync(new URL(`recordings/${file}`, import.meta.url), 'utf8')) as Row[];
}

class Replay {
  /** What is called like this here that was recorded like that. */
  readonly #renamed = new Map<string, string>();

  constructor(private readonly apollo: ApolloStandIn) {}

  /** Recorded text with the names that things have here. */
  here(text: string): string {
    const addressed = text.replaceAll(CONFIG, this.apollo.meta).replaceAll(ADMIN, this.apollo.admin.url);
    return addressed.replace(STAMP, (stamp) => this.#renamed.get(stamp) ?? stamp);
  }

  async ask(row: Row): Promise<Response> {
    const headers = { ...row.requestHeaders };
    if (row.requestBody !== undefined) {
      const type = row.requestBody.startsWith('{') ? 'application/json' : 'application/x-www-form-urlencoded';
      headers['content-type'] ??= type;
    }
    const body = row.requestBody === undefined ? {} : { body: this.here(row.requestBody) };
    const answer = await fetch(this.here(row.url), { method: row.method, headers, ...body });
    await eventually('every message is sent', () => !this.apollo.database.sending);
    return answer;
  }

  /** Learns what things are called here. */
  learn(recorded: string, given: string): void {
    const names = given.match(STAMP) ?? [];
    for (const [index, name] of (recorded.match(STAMP) ?? []).entries()) {
      const here = names[index];
      if (here !== undefined && !this.#renamed.has(name)) this.#renamed.set(name, here);
    }
  }
}

function comparable(body: string): unknown {
  const timeless = body.replace(TIME, '"a time$1"');
  return /^[[{]/.test(timeless) ? (JSON.parse(timeless) as unknown) : timeless;
}

function headersOf(get: (name: string) => string | null | undefined): Record<string, string | null> {
  return Object.fromEntries(HEADERS.map((name) => [name, get(name) ?? null]));
}

describe.each(['apollo-1.json', 'apollo-2.json'])('recordings of a real Apollo: %s', (file) => {
  const rows = rowsOf(file);
  let apollo: ApolloStandIn;
  let replay: Replay;
  /** The clock of the recording, so that signatures are as fresh as they were. */
  let clock = new Date();

  beforeAll(async () => {
    apollo = await ApolloStandIn.start({ now: () => clock, holdMs: 300, messageDelayMs: 0 });
    replay = new Replay(apollo);
  });

  afterAll(() => apollo.stop());

  it.each(rows.map((row, index) => [index, row.label, row] as const))('%d %s', async (_, __, row) => {
    clock = new Date(row.headers['date'] ?? '');
    const started = Date.now();
    const answer = await replay.ask(row);
    const body = await answer.text();
    replay.learn(row.body, body);
    expect(answer.status).toBe(row.status);
    expect(headersOf((name) => answer.headers.get(name))).toEqual(headersOf((name) => row.headers[name]));
    expect(comparable(body)).toEqual(comparable(replay.here(row.body)));
    // It waited as the real one did, if not as long.
    if (row.status === 304 && row.ms > 1_000) expect(Date.now() - started).toBeGreaterThanOrEqual(290);
  });
});
