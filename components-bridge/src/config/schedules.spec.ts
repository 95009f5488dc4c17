import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';
import { catalog } from '../catalog.js';
import { changes, sameSettings } from './changes.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'layotto.yaml';
const native = (schedules: string, functions = '{listen: 2045}'): string =>
  `functions: ${functions}\ncomponents: []\nschedules:\n${schedules}\n`;

test('schedules are read, with what they leave out', async () => {
  const text = `
  - {function: f, schedule: "@every 5s"}
  - name: nightly
    function: report
    schedule: 0 3 * * *
    timezone: Europe/Vienna
    route: nightly
    data: '{"days": 1}'
    contentType: application/json
    concurrency: 2`;
  await folder.write({ [file]: native(text) });
  expect((await folder.config({ file })).schedules).toEqual([
    {
      ...{ name: 'schedules[0]', function: 'f', schedule: '@every 5s', route: '/' },
      ...{ data: '', contentType: 'text/plain; charset=utf-8', concurrency: 1 },
    },
    {
      ...{ name: 'nightly', function: 'report', schedule: '0 3 * * *', timezone: 'Europe/Vienna' },
      ...{ route: '/nightly', data: '{"days": 1}', contentType: 'application/json', concurrency: 2 },
    },
  ]);
});

test.each([
  ['  - {schedule: "@hourly"}', "schedules[0].function: expected a function's id"],
  ['  - {function: f}', 'schedules[0].schedule: expected fields of cron'],
  ['  - {function: f, schedule: x}', 'schedules[0].schedule: expected five fields of cron'],
  [
    '  - {function: f, schedule: "@hourly", timezone: Mars/Olympus}',
    'timezone: expected a time zone such as',
  ],
  ['  - {function: f, schedule: "@hourly", when: 1}', 'schedules[0].when: unknown key'],
  ['  - {function: f, schedule: "@hourly", concurrency: 0}', 'expected a whole number from 1 to 100'],
  ['  - {function: f, schedule: "@hourly", route: "a b"}', 'schedules[0].route: expected a path'],
  ['  - {function: f, schedule: "@hourly", name: "a b"}', 'schedules[0].name: expected at most 64'],
  [
    '  - {name: n, function: f, schedule: "@hourly"}\n  - {name: n, function: f, schedule: "@daily"}',
    'schedules[1].name: expected a name of its own',
  ],
  [
    `  - {function: f, schedule: "@hourly", data: ${'x'.repeat(70_000)}}`,
    'expected a text of at most 65536 bytes',
  ],
  ['  - {function: f, schedule: "@hourly", once: nolock}', 'once: there is no lock component "nolock"'],
  ['  - {function: f, schedule: "@hourly", once: []}', 'once: expected the name of a lock component'],
  ['  - text', 'schedules[0]: expected a map with function and schedule'],
  ['  a: b', 'schedules: expected a list of at most 1000 schedules'],
])('%.80s is a problem', async (text, problem) => {
  await folder.write({ [file]: native(text) });
  const problems = await folder.problems({ file });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('a schedule may name the lock component by which each run is made once', async () => {
  const locks = 'components:\n  - {name: locks, type: lock.embedded}';
  const text = native('  - {function: f, schedule: "@hourly", once: locks}').replace('components: []', locks);
  await folder.write({ [file]: text });
  expect((await folder.config({ file, catalog })).schedules).toMatchObject([{ once: 'locks' }]);
  await folder.write({ [file]: text.replace('once: locks', 'once: lokcs') });
  expect(await folder.problems({ file, catalog })).toEqual([
    expect.stringContaining('there is no lock component "lokcs"; did you mean "locks"?') as string,
  ]);
});

test('there must be functions', async () => {
  await folder.write({ [file]: native('  - {function: f, schedule: "@hourly"}', 'null') });
  expect(await folder.problems({ file })).toEqual([
    expect.stringContaining('schedules[0].function: there are no functions here') as string,
  ]);
});

test('they are taken over while everything runs', async () => {
  await folder.write({ [file]: native('  - {function: f, schedule: "@hourly"}') });
  const before = await folder.config({ file });
  await folder.write({ [file]: native('  - {function: f, schedule: "@daily"}') });
  const wanted = await folder.config({ file });
  const { config, fixed } = changes(before, wanted, []);
  expect(fixed).toEqual([]);
  expect(config.schedules).toEqual(wanted.schedules);
  expect(sameSettings(before, wanted)).toBe(false);
});
