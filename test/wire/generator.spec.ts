import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const plugin = join(root, 'proto/plugin/protoc-gen-as.mjs');

let aside: string;
beforeEach(() => {
  aside = mkdtempSync(join(tmpdir(), 'layotto-generator-'));
});
afterEach(() => rmSync(aside, { recursive: true, force: true }));

function buf(args: string[], cwd = root): { status: number | null; output: string } {
  const run = spawnSync(join(root, 'node_modules/.bin/buf'), args, { cwd, encoding: 'utf8' });
  return { status: run.status, output: run.stdout + run.stderr };
}

function files(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** Runs the plugin on one file with the given body. */
function generate(body: string): { status: number | null; output: string } {
  const file = join(aside, 'proto/a/v1/a.proto');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `syntax = "proto3";\npackage a.v1;\n${body}\n`);
  const template = { version: 'v2', plugins: [{ local: ['node', plugin], out: 'out', opt: ['target=ts'] }] };
  return buf(['generate', join(aside, 'proto'), '--template', JSON.stringify(template)], aside);
}

test.each([
  ['buf.gen.yaml', ['assembly/wire/gen', 'components-bridge/src/gen']],
  ['test/wire/buf.gen.yaml', ['test/wire/assembly/gen', 'test/wire/gen']],
])(
  'what %s makes is what is there in %j',
  (template, folders) => {
    const { status, output } = buf(['generate', '--template', template, '--output', aside]);
    expect({ status, output }).toMatchObject({ status: 0 });
    for (const folder of folders) {
      const fresh = files(join(aside, folder));
      expect(Object.keys(fresh).length).toBeGreaterThan(0);
      expect(fresh).toEqual(files(join(root, folder)));
    }
  },
  60_000,
);

test('an imported message is imported from the file next to it', () => {
  writeOther();
  const { status } = generate('import "b/v1/b.proto"; message A { b.v1.B.Inner inner = 1; }');
  expect(status).toBe(0);
  const code = readFileSync(join(aside, 'out/a/v1/a.ts'), 'utf8');
  expect(code).toContain("import { B_Inner } from '../../b/v1/b';");
  expect(code).toContain('inner: B_Inner | null = null;');
});

function writeOther(): void {
  mkdirSync(join(aside, 'proto/b/v1'), { recursive: true });
  const body = 'syntax = "proto3"; package b.v1; message B { message Inner { string text = 1; } }';
  writeFileSync(join(aside, 'proto/b/v1/b.proto'), body);
}

test.each([
  ['map<int32, string> numbers = 1;', 'a.v1.A.numbers: protoc-gen-as does not support maps'],
  ['map<string, bytes> blobs = 1;', 'a.v1.A.blobs: protoc-gen-as does not support maps'],
  [
    'repeated int32 loose = 1 [packed = false];',
    'a.v1.A.loose: protoc-gen-as does not support [packed = false]',
  ],
])('%s is refused by name', (field, message) => {
  const { status, output } = generate(`message A { ${field} }`);
  expect(status).not.toBe(0);
  expect(output).toContain(message);
});
