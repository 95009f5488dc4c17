import type { Socket } from 'node:net';

import { dial } from '../support/dial.js';
import { Http1Reader, type Http1Answer } from '../support/http1-reader.js';
import type { Target } from '../support/http1.js';
import { fieldOf, type H1Case } from './cases.js';
import type { Answer } from './judge.js';

/** How long whoever sent what is no request waits for an answer before closing, in milliseconds. */
const PATIENCE_MS = 30;

/**
 * Sends inputs one behind the other on one connection, without waiting in between, and gives their answers in order.
 * Those behind an answer that closed the connection are missing: they were not looked at.
 *
 * @throws Error if what comes is no HTTP, or belongs to no request
 */
export async function pipeline(target: Target, inputs: readonly H1Case[]): Promise<Answer[]> {
  const socket = await dial(target);
  const reader = new Http1Reader();
  const answers: Answer[] = [];
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      socket.destroy();
      // To a request that it cannot read Envoy answers without knowing that the method was HEAD: with a body.
      const strict = inputs.every(({ head, notHttp }) => !(head && notHttp));
      if (strict && reader.rest.length > 0 && answers.length === inputs.length)
        reject(
          new Error(
            `bytes behind the last answer: ${JSON.stringify(reader.rest.toString('latin1', 0, 200))}`,
          ),
        );
      else resolve(answers);
    };
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      try {
        for (let input = inputs[answers.length]; input !== undefined; input = inputs[answers.length]) {
          const answer = reader.next(input.head);
          if (answer === undefined) return;
          answers.push(asAnswer(answer));
          if (fieldOf(answer.headers, 'connection') === 'close') break;
        }
        finish();
      } catch (error) {
        socket.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('close', finish);
    void writeAll(
      socket,
      inputs.flatMap(({ parts }) => parts),
    );
  });
}

/** Sends an input that may be no HTTP on a connection of its own, waits a moment for an answer, and hangs up. */
export async function hangUp(target: Target, input: H1Case): Promise<Answer> {
  const { bytes, closed } = await poke(target, input.parts);
  const reader = new Http1Reader();
  reader.push(bytes);
  let answer: Http1Answer | undefined;
  try {
    answer = reader.next(input.head);
  } catch {
    // Whatever it is, it is not HTTP/1.1: the input spoke something else too.
  }
  return answer === undefined ? { ...NOTHING, lost: closed } : asAnswer(answer);
}

/** Sends bytes on a connection of their own, waits a moment for what comes, and hangs up. */
export async function poke(
  target: Target,
  parts: readonly Uint8Array[],
): Promise<{ bytes: Buffer; closed: boolean }> {
  const socket = await dial(target);
  const received: Buffer[] = [];
  return new Promise((resolve) => {
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ bytes: Buffer.concat(received), closed });
    };
    const timer = setTimeout(() => finish(false), PATIENCE_MS);
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('close', () => finish(true));
    void writeAll(socket, parts);
  });
}

/** No answer at all. */
export const NOTHING: Answer = {
  complete: false,
  status: 0,
  headers: [],
  trailers: undefined,
  body: Buffer.alloc(0),
  lost: false,
};

/** Each piece in a write of its own, so that Envoy may see them one by one. */
async function writeAll(socket: Socket, parts: readonly Uint8Array[]): Promise<void> {
  for (const [index, part] of parts.entries()) {
    if (socket.destroyed) return;
    socket.write(part);
    if (index < parts.length - 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

function asAnswer({ status, headers, body }: Http1Answer): Answer {
  return { complete: true, status, headers, trailers: undefined, body, lost: false };
}
