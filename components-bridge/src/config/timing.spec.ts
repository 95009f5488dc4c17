import { readTiming } from './timing.js';

const START = Date.parse('2026-03-28T12:34:56.700Z');

async function due(text: string, timezone?: string, times = 3): Promise<string[]> {
  const timing = await readTiming(text, timezone);
  if ('problem' in timing) throw new Error(timing.problem);
  const found: string[] = [];
  for (let at: number | undefined = START; found.length < times;) {
    at = timing.next(at);
    if (at === undefined) break;
    found.push(new Date(at).toISOString());
  }
  return found;
}

test.each([
  ['@every 5s', ['2026-03-28T12:35:01.700Z', '2026-03-28T12:35:06.700Z']],
  ['@every 1h30m', ['2026-03-28T14:04:56.700Z', '2026-03-28T15:34:56.700Z']],
  ['*/20 * * * *', ['2026-03-28T12:40:00.000Z', '2026-03-28T13:00:00.000Z']],
  ['*/20 * * * * *', ['2026-03-28T12:35:00.000Z', '2026-03-28T12:35:20.000Z']],
  ['0 3 * * MON', ['2026-03-30T03:00:00.000Z', '2026-04-06T03:00:00.000Z']],
  ['@midnight', ['2026-03-29T00:00:00.000Z', '2026-03-30T00:00:00.000Z']],
  ['@hourly', ['2026-03-28T13:00:00.000Z', '2026-03-28T14:00:00.000Z']],
])('%s is due when it says', async (text, expected) => {
  expect(await due(text, 'UTC', 2)).toEqual(expected);
});

test('hours are those of the time zone, also when its clocks change', async () => {
  expect(await due('30 8 * * *', 'Europe/Vienna')).toEqual([
    '2026-03-29T06:30:00.000Z',
    '2026-03-30T06:30:00.000Z',
    '2026-03-31T06:30:00.000Z',
  ]);
  expect((await due('30 8 * * *', 'America/New_York'))[0]).toBe(
    '2026-03-28T12:30:00.000Z'.replace('28', '29'),
  );
});

test.each([
  ['', 'expected five fields of cron'],
  ['* * *', 'expected five fields of cron'],
  ['* * * * * * *', 'expected five fields of cron'],
  ['2030-01-01T00:00:00', 'expected five fields of cron'],
  ['61 * * * *', 'is no schedule'],
  ['a b c d e', 'is no schedule'],
  ['@often', 'is no schedule'],
  ['0 0 31 2 *', 'never comes'],
  ['@every', 'is no schedule'],
  ['@every 5', 'expected a duration such as 5s'],
  ['@every 5s ago', 'is no schedule'],
  ['@every 10ms', 'expected a time from 100ms'],
  ['@every 10000h', 'expected a time from 100ms'],
  ['x'.repeat(1000), 'expected at most 200 characters'],
])('%j is a problem', async (text, problem) => {
  expect(await readTiming(text)).toEqual({ problem: expect.stringContaining(problem) as string });
});
