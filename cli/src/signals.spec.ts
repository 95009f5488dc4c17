import { Signals } from './signals.js';

let signals: Signals;
let terminal: boolean;

beforeEach(() => {
  terminal = true;
  signals = new Signals(() => terminal);
});

afterEach(() => {
  signals.release();
});

it('tells the first signal, and acts on the second', async () => {
  let ended = 0;
  signals.onSecond(() => (ended += 1));
  process.emit('SIGTERM', 'SIGTERM');
  expect(await signals.first).toBe('SIGTERM');
  expect([signals.received, signals.number, signals.forced, ended]).toEqual(['SIGTERM', 15, false, 0]);
  process.emit('SIGINT', 'SIGINT');
  expect([signals.forced, ended]).toEqual([true, 1]);
});

it('stops waiting for work at the first signal, and forgets how the work ends', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<void>((_, reject) => (fail = reject));
  const waiting = signals.orAbort(work);
  process.emit('SIGINT', 'SIGINT');
  await waiting;
  fail(new Error('too late'));
  await new Promise((resolve) => setTimeout(resolve, 5));
});

it('passes on how work ends without a signal', async () => {
  await signals.orAbort(Promise.resolve());
  await expect(signals.orAbort(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

it('takes SIGHUP for a request while the terminal is there, and for the end when it is gone', async () => {
  let requests = 0;
  signals.onHangup(() => (requests += 1));
  process.emit('SIGHUP', 'SIGHUP');
  expect([requests, signals.received]).toEqual([1, undefined]);
  terminal = false;
  process.emit('SIGHUP', 'SIGHUP');
  expect(await signals.first).toBe('SIGHUP');
  expect(requests).toBe(1);
});

it('takes SIGHUP for a request where there never was a terminal', () => {
  signals.release();
  terminal = false;
  signals = new Signals(() => terminal);
  let requests = 0;
  signals.onHangup(() => (requests += 1));
  process.emit('SIGHUP', 'SIGHUP');
  expect([requests, signals.received]).toEqual([1, undefined]);
});
