import { request } from 'node:http';

import { controlSocket } from './data-files.js';
import { UserError } from './errors.js';
import type { Running } from './running.js';

/** Longer than everything that a push waits for. */
const ANSWER_MS = 60_000;

/** Asks `layotto run` to do something, and prints what it says. @throws UserError as {@link ask} */
export async function tell(running: Running, path: string, body?: Buffer, about = ''): Promise<number> {
  const { said } = (await ask(running, 'POST', path, body, about)) as { said: string };
  console.log(said);
  return 0;
}

/**
 * Asks `layotto run` something.
 *
 * @param about what a refusal begins with
 * @throws UserError with what it says against it
 */
export function ask(
  running: Running,
  method: string,
  path: string,
  body?: Buffer,
  about = '',
): Promise<unknown> {
  const socketPath = controlSocket(running.dataDir);
  return new Promise((resolve, reject) => {
    const lost = (why: string): void =>
      reject(new UserError(`${about}layotto run in ${running.dataDir} does not answer: ${why}`));
    const call = request({ socketPath, method, path, timeout: ANSWER_MS, agent: false }, (response) => {
      let answer = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (answer += chunk));
      response.on('error', (error) => lost(error.message));
      response.on('end', () => {
        const parsed = JSON.parse(answer) as { error?: string };
        if (response.statusCode === 200) return resolve(parsed);
        reject(new UserError(`${about}${parsed.error ?? answer}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', (error) => lost(error.message));
    call.end(body);
  });
}
