import { Harness } from './harness.js';

/** The numbers of JsonKind and JsonError in assembly/wire. */
const OBJECT = 1;
const STRING = 3;
const NUMBER = 4;
const TRUE = 5;
const WRONG_KIND = 5;
const NOT_INTEGER = 6;

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

/** Reads the text and writes it again. */
function copy(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const [outcome] = harness.batch('jsonBatch', [{ kind: 0, bytes }]);
  return `${outcome!.status} ${Buffer.from(outcome!.bytes).toString()}`;
}

describe('the words of an error are those of Go', () => {
  test.each([
    ['', 'EOF', 0],
    [' \n', 'EOF', 2],
    ['{', 'unexpected EOF', 1],
    ['[1,', 'unexpected EOF', 3],
    ['{"a"', 'unexpected EOF', 4],
    ['{"a":', 'unexpected EOF', 5],
    ['"abc', 'unexpected EOF', 4],
    ['"a\\', 'unexpected EOF', 3],
    ['"\\u12', 'unexpected EOF', 5],
    ['tru', 'unexpected EOF', 3],
    ['-', 'unexpected EOF', 1],
    ['1.', 'unexpected EOF', 2],
    ['1e+', 'unexpected EOF', 3],
    [']', "invalid character ']' looking for beginning of value", 0],
    ['[1,]', "invalid character ']' looking for beginning of value", 3],
    ['[,', "invalid character ',' looking for beginning of value", 1],
    ['{"a":}', "invalid character '}' looking for beginning of value", 5],
    ['not json', "invalid character 'o' in literal null (expecting 'u')", 1],
    ['tRue', "invalid character 'R' in literal true (expecting 'r')", 1],
    ['falsy', "invalid character 'y' in literal false (expecting 'e')", 4],
    ['{a', "invalid character 'a' looking for beginning of object key string", 1],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string", 7],
    ['{"a" 1}', "invalid character '1' after object key", 5],
    ['{"a":1 "b"', "invalid character '\"' after object key:value pair", 7],
    ['[1 2]', "invalid character '2' after array element", 3],
    ['[01]', "invalid character '1' after array element", 2],
    ['[1}', "invalid character '}' after array element", 2],
    ['"a\nb"', "invalid character '\\n' in string literal", 2],
    ['"a\u0000', "invalid character '\\x00' in string literal", 2],
    ['"\\x"', "invalid character 'x' in string escape code", 2],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape", 5],
    ['-x', "invalid character 'x' in numeric literal", 1],
    ['1.x', "invalid character 'x' after decimal point in numeric literal", 2],
    ['1e-x', "invalid character 'x' in exponent of numeric literal", 3],
    ["'", "invalid character '\\'' looking for beginning of value", 0],
    ['\\', "invalid character '\\\\' looking for beginning of value", 0],
    ['\u007f', "invalid character '\\x7f' looking for beginning of value", 0],
    // bytes are quoted one by one, as the characters of their numbers
    ['é', "invalid character 'Ã' looking for beginning of value", 0],
    ['\u00a0', "invalid character 'Â' looking for beginning of value", 0],
    [']'.repeat(3), "invalid character ']' looking for beginning of value", 0],
    ['['.repeat(65), 'exceeded max depth', 64],
  ])('%j: %s', (text, words, position) => {
    const { result, output } = harness.call('jsonErrorOf', text);
    expect([output.toString(), result]).toEqual([words, position]);
  });

  test.each([
    [0xa0, "'\\u00a0'"],
    [0xad, "'\\u00ad'"],
    [0x85, "'\\u0085'"],
    [0x1b, "'\\x1b'"],
  ])('byte %i is quoted as %s', (byte, quoted) => {
    const { output } = harness.call('jsonErrorOf', Buffer.of(byte));
    expect(output.toString()).toBe(`invalid character ${quoted} looking for beginning of value`);
  });
});

describe('a value', () => {
  test.each([
    [
      ' {"a" : [1, -2.5e3 , "x"] ,"b":{}, "c":[ ],"d":null,"e":true } ',
      '{"a":[1,-2.5e3,"x"],"b":{},"c":[],"d":null,"e":true}',
    ],
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', '"\\"\\\\/\\b\\f\\n\\r\\té"'],
    ['"\\ud83d\\ude00 \\uD83D x \\ude00\\ud83d"', '"😀 \ufffd x \ufffd\ufffd"'],
    ['"\\ud83d\\ud83d\\ude00"', '"\ufffd😀"'],
    ['"\\u0000\u007f\u2028"', '"\\u0000\u007f\u2028"'],
    ['{"a":1,"a":2}', '{"a":1,"a":2}'],
    [
      '"' + 'long enough for eight at a time '.repeat(3) + '\\n"',
      '"' + 'long enough for eight at a time '.repeat(3) + '\\n"',
    ],
  ])('%s', (text, expected) => {
    expect(copy(text)).toBe(`0 ${expected}`);
  });

  test('bytes that are not UTF-8 become one replacement each', () => {
    expect(copy(Buffer.from('22c0806180e6979922', 'hex'))).toBe(
      '0 "\ufffd\ufffda\ufffd日"'.replace('日', '旙'),
    );
    expect(copy(Buffer.from('22eda08022', 'hex'))).toBe('0 "\ufffd\ufffd\ufffd"');
  });

  test('what follows it is left to the caller', () => {
    expect(copy('{} x')).toMatch(/^100 /);
    expect(copy('12x')).toMatch(/^100 /);
    expect(copy('01')).toMatch(/^100 /);
    expect(copy('{} \n')).toBe('0 {}');
  });

  test('may be 64 deep', () => {
    expect(copy('['.repeat(64) + ']'.repeat(64))).toMatch(/^0 /);
    expect(copy('['.repeat(65) + ']'.repeat(65))).toMatch(/^4 exceeded/);
  });
});

describe('members', () => {
  const member = (text: string, kind: number) => {
    const { result, output } = harness.call('jsonMember', text, kind);
    return [Number(result), output.toString()];
  };

  test.each([
    ['{"b":[{"a":3}],"a":-12,"c":{}}', NUMBER, '-12'],
    ['{"a":9223372036854775807}', NUMBER, '9223372036854775807'],
    ['{"a":-9223372036854775808}', NUMBER, '-9223372036854775808'],
    ['{"\\u0061":"x\\ty"}', STRING, 'x\ty'],
    ['{"a":true}', TRUE, 'true'],
    ['{"a":false}', TRUE, 'false'],
    ['{"b":1,"a": {"x":[1 , 2]} }', OBJECT, '{"x":[1 , 2]}'],
    ['{}', NUMBER, ''],
  ])('%s', (text, kind, expected) => {
    expect(member(text, kind)).toEqual([0, expected]);
  });

  test.each([
    ['{"a":9223372036854775808}', NUMBER, NOT_INTEGER],
    ['{"a":-9223372036854775809}', NUMBER, NOT_INTEGER],
    ['{"a":1.0}', NUMBER, NOT_INTEGER],
    ['{"a":1e3}', NUMBER, NOT_INTEGER],
    ['{"a":"1"}', NUMBER, WRONG_KIND],
    ['{"a":1}', STRING, WRONG_KIND],
    ['{"a":null}', TRUE, WRONG_KIND],
    ['[1]', NUMBER, WRONG_KIND],
  ])('%s as kind %i is error %i', (text, kind, error) => {
    expect(member(text, kind)[0]).toBe(error);
  });
});

test.each(['', '{}', '[1]', 'null', '{"a":1}'])(
  'asking for what is not there is an error, not a trap: %j',
  (text) => {
    expect(harness.call('jsonMisuse', text).result).toBe(0);
  },
);

test('strings with escapes give their memory back', () => {
  const text = JSON.stringify(Array.from({ length: 500 }, (_, i) => `line ${i}\n`.repeat(50)));
  const entry = { kind: 0, bytes: Buffer.from(text) };
  for (let i = 0; i < 5; i++) harness.batch('jsonBatch', [entry]);
  const before = harness.memoryBytes;
  for (let i = 0; i < 50; i++) harness.batch('jsonBatch', [entry]);
  expect(harness.memoryBytes).toBe(before);
});

describe('writing', () => {
  test.each([
    ['plain', '"plain"'],
    ['', '""'],
    ['a"b\\c\b\f\n\r\t\u0000\u001f\u007f', '"a\\"b\\\\c\\b\\f\\n\\r\\t\\u0000\\u001f\u007f"'],
    ['<a href="x">&</a> é 😀', '"<a href=\\"x\\">&</a> é 😀"'],
  ])('%j', (text, expected) => {
    expect(harness.call('jsonQuote', text).output.toString()).toBe(expected);
  });

  test('bytes that are not UTF-8', () => {
    expect(harness.call('jsonQuote', Buffer.from('61ff62c3', 'hex')).output.toString()).toBe(
      '"a\\ufffdb\\ufffd"',
    );
  });

  test('commas stand where they belong', () => {
    harness.run('jsonWriterDemo');
    expect(harness.output().toString()).toBe('{"a":[-9223372036854775808,"a",true,null,{}],"":a}');
  });
});
