import { request } from 'node:http';

import { reachableHost } from './app-process.js';
import { UserError } from './errors.js';

const PAUSE_MS = 20;
/** How long components are waited for once calls are answered. */
const COMPONENTS_MS = 2_000;

/** What is waited for, and how long. */
export interface Awaited {
  /** Whether filter and bridge have found each other. */
  sessionsOpen: () => boolean;
  /** Whether every component is ready. */
  componentsReady: () => boolean;
  /** Whether nobody waits any more. */
  givenUp: () => boolean;
  limitMs: number;
  /** Where the logs are, for the message. */
  dataDir: string;
}

/**
 * Waits until the runtime answers: the sessions are open and its health check says so. Components get a moment more,
 * so that the app's first call finds them ready; one whose backend is away keeps nobody waiting for longer.
 *
 * @throws UserError after the limit, saying what is missing
 */
export async function untilServing(
  { host, port }: { host: string; port: number },
  { sessionsOpen, componentsReady, givenUp, limitMs, dataDir }: Awaited,
): Promise<void> {
  const end = Date.now() + limitMs;
  let missing = '';
  let answered: number | undefined;
  while (Date.now() < end) {
    if (givenUp()) return;
    if (!sessionsOpen()) {
      missing = 'filter and bridge did not find each other';
    } else {
      const status = await health(reachableHost(host), port);
      if (status === 204) answered ??= Date.now();
      if (answered !== undefined && (componentsReady() || Date.now() - answered > COMPONENTS_MS)) return;
      missing = `the health check on port ${port} ${status === undefined ? 'did not answer' : `answered ${status}`}`;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new UserError(
    `not ready after ${limitMs / 1000} s: ${missing}; see envoy.log and bridge.log in ${dataDir}`,
  );
}

function health(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const call = request({ host, port, path: '/v1.0/healthz', timeout: 1_000, agent: false });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.end();
  });
}
