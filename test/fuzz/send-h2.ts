import { H2Connection, type H2Answer } from '../support/h2/connection.js';
import type { Target } from '../support/http1.js';
import { sleep } from '../support/wait.js';
import type { H2Case } from './cases.js';
import type { Answer } from './judge.js';

interface Shared {
  readonly connection: Promise<H2Connection>;
  /** Inputs that it has been given to. */
  given: number;
  /** Inputs that have it now. */
  busy: number;
}

/** Connections that inputs share; one that was lost is dialled again. */
export class H2Pool {
  readonly #shared: (Shared | undefined)[] = [];

  /** @param most inputs that a connection is given to; then it is closed, and another one dialled */
  constructor(
    private readonly target: Target,
    private readonly size: number,
    private readonly most = Infinity,
  ) {}

  /**
   * Lends a connection for as long as an input needs it.
   * @param index any number; equal ones share a connection as long as it lasts
   */
  async lend<T>(index: number, send: (connection: H2Connection) => Promise<T>): Promise<T> {
    const shared = await this.#take(index % this.size);
    try {
      return await send(await shared.connection);
    } finally {
      shared.busy--;
      if (shared.busy === 0 && !this.#shared.includes(shared)) (await shared.connection).close();
    }
  }

  async close(): Promise<void> {
    for (const shared of this.#shared.splice(0)) (await shared?.connection)?.close();
  }

  async #take(slot: number): Promise<Shared> {
    for (;;) {
      const shared = (this.#shared[slot] ??= {
        connection: H2Connection.open(this.target),
        given: 0,
        busy: 0,
      });
      const connection = await shared.connection;
      if (!connection.over && shared.given < this.most) {
        shared.given++;
        shared.busy++;
        return shared;
      }
      if (this.#shared[slot] === shared) this.#shared[slot] = undefined;
      if (shared.busy === 0) connection.close();
    }
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
