import { Signals } from './signals.js';

let signals: Signals;

beforeEach(() => {
  signals = new Signals();
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
