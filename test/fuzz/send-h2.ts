import { H2Connection, type H2Answer } from '../support/h2/connection.js';
import type { Target } from '../support/http1.js';
import { sleep } from '../support/wait.js';
import type { H2Case } from './cases.js';
import type { Answer } from './judge.js';

/** Connections that inputs share; one that was lost is dialled again. */
export class H2Pool {
  readonly #connections: (Promise<H2Connection> | undefined)[] = [];

  constructor(
    private readonly target: Target,
    private readonly size: number,
  ) {}

  /** @param index any number; equal ones share a connection as long as it lasts */
  async at(index: number): Promise<H2Connection> {
    const slot = index % this.size;
    for (;;) {
      const dialled = (this.#connections[slot] ??= H2Connection.open(this.target));
      const connection = await dialled;
      if (!connection.over) return connection;
      if (this.#connections[slot] === dialled) this.#connections[slot] = undefined;
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#connections.splice(0)) (await connection)?.close();
  }
}

/**
 * Sends an input and waits for what comes.
 *
 * @param alone the connection is used for nothing else: the input may break it, and it is closed at the end
 * @returns undefined if the client gave up as it was meant to
 */
export async function sendH2(
  connection: H2Connection,
  input: H2Case,
  alone: boolean,
  pauseMs: number,
): Promise<Answer | undefined> {
  const { parts, ending } = input;
  const bodyless = parts.length === 0 && ending === 'end';
  const stream = connection.request(input.fields, bodyless);
  if (!bodyless) {
    parts.forEach((part, index) => {
      connection.data(stream, part, ending === 'end' && index === parts.length - 1);
    });
    if (ending === 'trailers') connection.trailers(stream, input.trailers);
  }
  if (ending === 'reset') {
    if (pauseMs > 0) await sleep(pauseMs);
    connection.reset(stream);
    return undefined;
  }
  if (ending === 'hang-up') {
    if (pauseMs > 0) await sleep(pauseMs);
    connection.close();
    return undefined;
  }
  const answer = asAnswer(await stream.answer);
  if (alone) connection.close();
  return answer;
}

function asAnswer({ headers, trailers, body, ended, reset, lost }: H2Answer): Answer {
  const status = Number(headers.find(([name]) => name === ':status')?.[1] ?? 0);
  return { complete: ended, status, headers, trailers, body, reset, lost };
}
