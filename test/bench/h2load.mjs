import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Answers that may be half-way in when the time is up: their bytes are counted, the calls are not. */
const TAIL = 2;

/** `h2load nghttp2/1.52.0`, or undefined where it is not installed. */
export function h2loadVersion() {
  try {
    return execFileSync('h2load', ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

/**
 * Keeps a number of calls under way with h2load: streams of one connection over HTTP/2, a connection each over
 * HTTP/1.1.
 *
 * h2load does not look at gRPC statuses. An error has no body, or another one, so what tells is the number of bytes
 * received: each call must have brought as many as the checked call did.
 *
 * @param {object} load
 * @param {number} load.port
 * @param {import('./requests.mjs').Request} load.request
 * @param {number} load.inflight
 * @param {number} load.seconds
 * @param {number} load.answerBytes body of a good answer
 * @param {string} load.dir a folder for scratch files
 * @returns {Promise<import('./measure.mjs').LoadResult>}
 * @throws if a call failed
 */
export async function runH2load({ port, request, inflight, seconds, answerBytes, dir }) {
  const h2 = request.protocol === 'h2';
  const log = join(dir, 'h2load.log');
  const body = join(dir, 'h2load.body');
  rmSync(log, { force: true });
  if (request.body !== undefined) writeFileSync(body, request.body);
  const args = [
    ...(h2 ? ['-c1', `-m${inflight}`] : ['--h1', `-c${inflight}`, '-m1']),
    ...['-t1', '-D', `${Math.round(seconds * 1000)}ms`, '--log-file', log],
    ...(request.body === undefined ? [] : ['-d', body]),
    ...Object.entries(request.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    `http://127.0.0.1:${port}${request.path}`,
  ];
  const { stdout } = await promisify(execFile)('h2load', args, {
    maxBuffer: 1 << 24,
    // It does not end if the server closes every connection.
    timeout: seconds * 1000 + 20_000,
    killSignal: 'SIGKILL',
  });
  return summary(stdout, readFileSync(log, 'utf8'), { inflight, answerBytes, seconds });
}

/**
 * What h2load printed and logged, as figures.
 *
 * @throws if a call failed or the answers do not have the size they should have
 */
export function summary(printed, log, { inflight, answerBytes, seconds }) {
  const number = (pattern) => Number(pattern.exec(printed)?.[1] ?? NaN);
  const calls = number(/(\d+) succeeded/);
  const failed = number(/(\d+) failed/) + number(/(\d+) errored/) + number(/(\d+) timeout/);
  const good = number(/status codes: (\d+) 2xx/);
  const data = number(/headers \(space savings[^)]*\), [^(]*\((\d+)\) data/);
  if (!(calls > 0)) throw new Error(`h2load made no call:\n${printed}`);
  const bad = number(/(\d+) 3xx/) + number(/(\d+) 4xx/) + number(/(\d+) 5xx/);
  // Calls still in flight when the time is up may count as failed, and may have had their status.
  if (bad > 0 || failed > inflight || good < calls || good > calls + inflight)
    throw new Error(`calls failed:\n${printed}`);
  if (data < calls * answerBytes || data > (calls + TAIL * inflight) * answerBytes)
    throw new Error(
      `${calls} answers brought ${data} bytes, ${answerBytes} each were expected: not all of them are good`,
    );
  const times = log
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, status]) => status === '200' || status === '204')
    .map(([, , time]) => Number(time) / 1000)
    .sort((a, b) => a - b);
  const quantile = (q) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  return {
    calls,
    perSecond: calls / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    max: times.at(-1) ?? 0,
  };
}
