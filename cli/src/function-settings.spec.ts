import { SAMPLE_CONFIG } from '../../envoy/samples.js';
import { UsageError, UserError } from './errors.js';
import { functionSettings, givenSettings, SETTINGS_OPTIONS } from './function-settings.js';
import { parseOptions } from './options.js';

const read = (...args: string[]) => givenSettings(parseOptions(args, SETTINGS_OPTIONS));

describe('the options of a push', () => {
  it('say what a function is called by, and its limits', () => {
    expect(
      read(
        ...['--id', 'stock', '--path', '/stock', '--max-body', '64KiB', '--max-in-flight', '7'],
        ...['--deadline', '1.5s'],
      ),
    ).toEqual({ id: 'stock', path: '/stock', bodyBytes: 65_536, inFlight: 7, deadlineMs: 1500 });
  });

  it('leave open what is not said', () => {
    expect(read('--id', 'stock')).toEqual({ id: 'stock' });
  });

  it('take an empty path, which takes the path away', () => {
    expect(read('--id', 'stock', '--path', '')).toEqual({ id: 'stock', path: '' });
  });

  const BODY = 'a size from 1 byte to 1GiB, such as 64KiB';
  const DEADLINE = 'a time from 1ms to 1h, such as 500ms';

  it.each([
    [[], '--id is missing'],
    [['--id', ''], '--id needs a value'],
    [['--id', 'a', '--max-in-flight', '0'], '--max-in-flight needs a number from 1'],
    [['--id', 'a', '--max-in-flight', 'x'], "--max-in-flight needs a whole number, not 'x'"],
    [['--id', 'a', '--max-body', 'large'], `--max-body needs ${BODY}, not 'large'`],
    [['--id', 'a', '--max-body', '64KB'], `--max-body needs ${BODY}, not '64KB'`],
    [['--id', 'a', '--max-body', '0'], `--max-body needs ${BODY}, not '0'`],
    [['--id', 'a', '--max-body', '1.5GiB'], `--max-body needs ${BODY}, not '1.5GiB'`],
    [['--id', 'a', '--deadline', '5'], `--deadline needs ${DEADLINE}, not '5'`],
    [['--id', 'a', '--deadline', '0s'], `--deadline needs ${DEADLINE}, not '0s'`],
    [['--id', 'a', '--deadline', '61m'], `--deadline needs ${DEADLINE}, not '61m'`],
  ])('that are wrong are named, with what they need: %j', (args, message) => {
    expect(() => read(...args)).toThrow(new UsageError(message));
  });

  it('go up to a gibibyte and an hour', () => {
    const { bodyBytes, deadlineMs } = read('--id', 'a', '--max-body', '1GiB', '--deadline', '1h');
    expect([bodyBytes, deadlineMs]).toEqual([1024 ** 3, 3_600_000]);
  });
});

describe('what holds for a function', () => {
  const { limits } = SAMPLE_CONFIG;
  const settings = (given: Partial<Parameters<typeof functionSettings>[0]>, before?: typeof full) =>
    functionSettings({ id: 'stock', ...given }, limits, before);
  const full = { id: 'stock', path: '/stock', bodyBytes: 5, inFlight: 6, deadlineMs: 7 };

  it('is a MiB, a hundred calls and the deadline of all calls, unless something is said', () => {
    expect(settings({})).toEqual({ id: 'stock', bodyBytes: 1024 ** 2, inFlight: 100, deadlineMs: 15_000 });
  });

  it('is no larger body than a message may be', () => {
    expect(functionSettings({ id: 'stock' }, { ...limits, messageBytes: 2048 }).bodyBytes).toBe(2048);
  });

  it('is what is said', () => {
    expect(settings(full)).toEqual(full);
  });

  it('stays what it was where nothing is said', () => {
    expect(settings({}, full)).toEqual(full);
    expect(settings({ inFlight: 9 }, full)).toEqual({ ...full, inFlight: 9 });
  });

  it('is no path any more if an empty one is given', () => {
    expect(settings({ path: '' }, full)).toEqual({ id: 'stock', bodyBytes: 5, inFlight: 6, deadlineMs: 7 });
  });

  it.each(['/', '/stock', '/a/b', "/~a.b-c_d!$&'()*+,;=:@", '/%7Ea', `/${'a'.repeat(255)}`])(
    'takes the path %s',
    (path) => {
      expect(settings({ path }).path).toBe(path);
    },
  );

  it.each(['stock', '/stock/', '//', '/a?b', '/a b', '/a#b', '/ü', `/${'a'.repeat(256)}`])(
    'refuses the path %s, and says what one is',
    (path) => {
      const expected = `a function's path begins with "/", does not end in "/", and has at most 256 letters, digits and signs of a URL's path, without a query; found '${path}'`;
      expect(() => settings({ path })).toThrow(new UserError(expected));
    },
  );

  it.each(['', '-a', '.a', 'a b', 'a/b', 'ü', 'a'.repeat(65)])(
    'refuses the id "%s", and says what one is',
    (id) => {
      const expected = `a function's id has 1 to 64 letters, digits, ".", "_" and "-", of which the first is a letter or digit; found '${id}'`;
      expect(() => settings({ id })).toThrow(new UserError(expected));
    },
  );

  it('refuses a body that no message may have, and names the setting to raise', () => {
    const expected = 'a body has at most 4194304 bytes here; raise limits.message in layotto.yaml';
    expect(() => settings({ bodyBytes: limits.messageBytes + 1 })).toThrow(new UserError(expected));
    expect(settings({ bodyBytes: limits.messageBytes }).bodyBytes).toBe(4_194_304);
    // What a message may be can have become less since the push before.
    expect(() => settings({}, { ...full, bodyBytes: limits.messageBytes + 1 })).toThrow(
      new UserError(expected),
    );
  });
});
