import { UsageError } from './errors.js';
import { describeOptions, parseOptions, text, wholeNumber } from './options.js';
import type { Option } from './options.js';

const OPTIONS: Option[] = [
  { name: 'config', short: 'c', value: 'FILE', help: 'the file' },
  { name: 'port', value: 'N', help: 'the port' },
  { name: 'hold', help: 'a flag' },
];

describe('parseOptions', () => {
  it('reads long, short and flag options', () => {
    const values = parseOptions(['-c', 'a.yaml', '--port=80', '--hold'], OPTIONS);
    expect(values).toEqual({ config: 'a.yaml', port: '80', hold: true });
  });

  it('understands --help everywhere', () => {
    expect(parseOptions(['--help'], []).help).toBe(true);
    expect(parseOptions(['-h'], OPTIONS).help).toBe(true);
  });

  it.each([
    [['--foo'], "Unknown option '--foo'"],
    [['word'], "Unexpected argument 'word'; hint"],
    [['--config'], "Option '-c, --config <value>' argument missing"],
    [['--hold=yes'], "Option '--hold' does not take an argument"],
  ])('says what is wrong with %j', (args, message) => {
    const parse = (): unknown => parseOptions(args, OPTIONS, '; hint');
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
  });
});

describe('text and wholeNumber', () => {
  it('give undefined for what was not given', () => {
    expect(text({}, 'config')).toBeUndefined();
    expect(wholeNumber({}, 'port')).toBeUndefined();
  });

  it('refuse an empty value', () => {
    expect(() => text({ config: '' }, 'config')).toThrow('--config needs a value');
  });

  it.each(['x', '-1', '1.5', '1e3', '9999999999'])('refuse %s as a number', (value) => {
    expect(() => wholeNumber({ port: value }, 'port')).toThrow(`--port needs a whole number, not '${value}'`);
  });

  it('read a number', () => {
    expect(wholeNumber({ port: '34904' }, 'port')).toBe(34904);
  });
});

it('describeOptions aligns what it prints and adds --help', () => {
  expect(describeOptions(OPTIONS).split('\n')).toEqual([
    '  -c, --config FILE  the file',
    '      --port N       the port',
    '      --hold         a flag',
    '  -h, --help         print this',
  ]);
});
