import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { pino } from 'pino';

import { configuration } from '../../../test/support/bridge-config.js';
import { eventually } from '../../../test/support/wait.js';
import { functionsSocket } from '../config/sockets.js';
import type { ScheduleConfig } from '../config/types.js';
import { Schedules } from './schedules.js';

const OFTEN: ScheduleConfig = {
  ...{ name: 'often', function: 'f', schedule: '@every 100ms', route: '/tick', data: 'x' },
  ...{ contentType: 'text/plain', concurrency: 1 },
};

interface Seen {
  headers: IncomingHttpHeaders;
  stream: ServerHttp2Stream;
}

let dir: string;
let schedules: Schedules;
/** Who takes runs that are to be made once. */
let take: (store: string, schedule: string, time: string) => Promise<boolean>;
/** What stands in Envoy's place has been asked, and how it answers. */
let seen: Seen[];
let there: boolean;
let answer: (stream: ServerHttp2Stream) => void;
const server = createServer();

const answering =
  (headers: Record<string, string | number>) =>
  (stream: ServerHttp2Stream): void => {
    stream.respond(headers);
    stream.end();
  };

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'schedules-'));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (headers[':method'] === 'OPTIONS') return answering({ ':status': there ? 204 : 404 })(stream);
    seen.push({ stream, headers });
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(functionsSocket(dir), resolve));
});
afterAll(async () => {
  server.close();
  await rm(dir, { recursive: true, force: true });
});
beforeEach(() => {
  seen = [];
  there = true;
  take = () => Promise.reject(new Error('nobody asks'));
  answer = answering({ ':status': 200 });
});
afterEach(() => schedules.close());

function start(list: ScheduleConfig[], at = dir): void {
  const config = { ...configuration(dir, []), schedules: list };
  schedules = new Schedules({
    config,
    dataDir: at,
    apiToken: 'hush',
    claims: { take: (...run) => take(...run) },
    log: pino({ enabled: false }),
  });
  schedules.start();
}

const counts = (): Record<string, number> =>
  Object.fromEntries(
    [...schedules.runs].map(({ schedule, outcome, count }) => [`${schedule} ${outcome}`, count]),
  );

test('a function is called when it is due, with the token, and is told of it', async () => {
  start([OFTEN]);
  await eventually('it is called twice', () => seen.length >= 2);
  const [headers = {}, later] = seen.map((one): IncomingHttpHeaders => one.headers);
  expect(headers).toMatchObject({
    ...{ ':method': 'POST', ':path': '/tick', ':authority': 'localhost', id: 'f' },
    ...{ 'dapr-api-token': 'hush', 'content-type': 'text/plain', 'ce-subject': 'often', 'ce-source': 'app' },
  });
  expect(headers['ce-id']).toBe(`often/${String(headers['ce-time'])}`);
  const between = Date.parse(String(later?.['ce-time'])) - Date.parse(String(headers['ce-time']));
  expect(between).toBe(100);
  await eventually('they are counted', () => (counts()['often success'] ?? 0) >= 2);
});

test('what is due while a run is under way is left out, unless more may be', async () => {
  answer = () => undefined;
  start([OFTEN, { ...OFTEN, name: 'both', concurrency: 2 }]);
  await eventually(
    'runs are left out',
    () => (counts()['often skipped'] ?? 0) >= 2 && counts()['both skipped'],
  );
  expect(seen.map(({ headers }) => headers['ce-subject']).sort()).toEqual(['both', 'both', 'often']);
  answer = answering({ ':status': 200 });
  for (const { stream } of seen) answer(stream);
  await eventually('it goes on', () => (counts()['often success'] ?? 0) >= 2);
});

test.each([
  ['failure', { ':status': 500 }],
  ['failure', { ':status': 404 }],
  ['missed', { ':status': 404, 'x-layotto-local': 'NR' }],
])('a run is a %s if the answer is %j', async (outcome, headers) => {
  answer = answering(headers);
  start([OFTEN]);
  await eventually('it is counted, and goes on', () => (counts()[`often ${outcome}`] ?? 0) >= 2);
  expect(Object.keys(counts())).toEqual([`often ${outcome}`]);
});

test('a run that is to be made once is made if it can be taken; all replicas mean the same time', async () => {
  const asked: string[][] = [];
  take = async (...run) => asked.push(run) % 2 === 1;
  start([{ ...OFTEN, once: 'locks' }]);
  await eventually('some are made', () => (counts()['often success'] ?? 0) >= 2);
  expect(counts()['often elsewhere']).toBeGreaterThan(0);
  for (const [store, name, time = ''] of asked) {
    expect([store, name]).toEqual(['locks', 'often']);
    expect(Date.parse(time) % 100).toBe(0);
  }
  expect(seen.map(({ headers }) => headers['ce-time'])).toEqual(
    asked
      .filter((_, i) => i % 2 === 0)
      .slice(0, seen.length)
      .map(([, , time]) => time),
  );
});

test('it is not taken if there is no function here, and missed if nobody can tell whose it is', async () => {
  there = false;
  let asked = 0;
  take = () => {
    asked++;
    return Promise.reject(new Error('the lock store is away'));
  };
  start([{ ...OFTEN, once: 'locks' }]);
  await eventually('it is missed', () => (counts()['often missed'] ?? 0) >= 2);
  expect(asked).toBe(0);
  there = true;
  const before = counts()['often missed'] ?? 0;
  await eventually('it is missed still', () => (counts()['often missed'] ?? 0) >= before + 2);
  expect(seen).toEqual([]);
});

test('runs are missed while Envoy is away', async () => {
  start([OFTEN], join(dir, 'nowhere'));
  await eventually('it is counted', () => (counts()['often missed'] ?? 0) >= 2);
});

test('another configuration begins and ends schedules, and leaves what is the same', async () => {
  answer = () => undefined;
  start([OFTEN, { ...OFTEN, name: 'gone' }]);
  await eventually('both are called', () => seen.length === 2);
  schedules.use({ ...configuration(dir, []), schedules: [{ ...OFTEN }, { ...OFTEN, name: 'new' }] });
  await eventually('the new one is called', () => seen.length === 3);
  // Its run goes on, so it was not begun anew; of the one that is gone only the run that was under way is left.
  expect(seen.map(({ headers }) => headers['ce-subject']).sort()).toEqual(['gone', 'new', 'often']);
  for (const { stream } of seen) answering({ ':status': 200 })(stream);
  await eventually('that run ends', () => counts()['gone success'] === 1);
});

test('what holds for a schedule may change while it runs', async () => {
  start([OFTEN]);
  await eventually('it is called', () => seen.length >= 1);
  schedules.use({ ...configuration(dir, []), schedules: [{ ...OFTEN, route: '/tock' }] });
  const paths = (): unknown[] => seen.map(({ headers }) => headers[':path']);
  await eventually('it is called there', () => paths().includes('/tock'));
  // One run may have been on its way.
  const later = paths().slice(paths().indexOf('/tock') + 1);
  await eventually('it goes on', () => paths().length >= later.length + 3);
  expect(paths().slice(paths().indexOf('/tock') + 2)).not.toContain('/tick');
});

test('what was due while the machine slept is not made up for', async () => {
  start([OFTEN]);
  await eventually('it is called', () => seen.length >= 1);
  const before = Date.now();
  const clock = jest
    .spyOn(Date, 'now')
    .mockImplementation(() => performance.timeOrigin + performance.now() + 60_000);
  const later = (): number => Date.now() - 60_000 - before;
  await eventually('it goes on', () => later() > 500);
  clock.mockRestore();
  const runs = Object.values(counts()).reduce((sum, count) => sum + count, 0);
  expect(runs).toBeLessThan(20);
});

test('it closes when the run under way is over', async () => {
  answer = () => undefined;
  start([OFTEN]);
  await eventually('it is called', () => seen.length === 1);
  let closed = false;
  const closing = schedules.close().then(() => (closed = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toBe(false);
  answering({ ':status': 200 })(seen[0]?.stream as ServerHttp2Stream);
  await closing;
  expect(counts()).toEqual({ 'often success': 1 });
});
