import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { formatProblem, loadConfig } from './index.js';
import type { RuntimeConfig } from './types.js';

const DESCRIPTION = {
  schema: 1,
  primitive: 'rate-counter',
  service: 'rate_counter.v1.RateCounter',
  operations: [{ name: 'Increment', component: 'component_name' }],
  descriptors: 'AAAA',
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'layotto-own-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The bridge half of a primitive, in a folder of that name. */
function half(name: string, description: unknown = DESCRIPTION, module: string | undefined = ''): void {
  mkdirSync(join(folder, name));
  const text = typeof description === 'string' ? description : JSON.stringify(description);
  writeFileSync(join(folder, name, 'primitive.json'), text);
  if (module !== undefined) writeFileSync(join(folder, name, 'index.mjs'), module);
}

async function load(
  yaml: string,
  options: { ownPrimitives?: boolean } = {},
): Promise<{ config?: RuntimeConfig; problems: string[] }> {
  writeFileSync(join(folder, 'layotto.yaml'), yaml);
  const result = await loadConfig({ catalog: [], file: 'layotto.yaml', cwd: folder, ...options });
  if ('config' in result) return { config: result.config, problems: [] };
  return { problems: result.problems.map(formatProblem) };
}

const component = (more = ''): string => `components:\n  - { name: c, type: ./half${more} }\n`;

test('a path as type leads to a module, by the folder of the file', async () => {
  half('half');
  const { config, problems } = await load(component(', metadata: { any: 1 }'));
  expect(problems).toEqual([]);
  expect(config?.components).toMatchObject([
    {
      name: 'c',
      primitive: 'rate-counter',
      type: 'rate-counter.module',
      metadata: { any: '1' },
      own: { folder: join(folder, 'half'), service: DESCRIPTION.service, operations: DESCRIPTION.operations },
    },
  ]);
});

test('with a socket it is a process, and needs no module', async () => {
  half('half', DESCRIPTION, undefined);
  rmSync(join(folder, 'half/index.mjs'), { force: true });
  const { config } = await load(component(', socket: ./s.sock'));
  expect(config?.components).toMatchObject([
    { type: 'rate-counter.process', own: { socket: join(folder, 's.sock') } },
  ]);
});

test('another content of the module is another component', async () => {
  half('half');
  const digest = async (): Promise<string | undefined> =>
    (await load(component())).config?.components[0]?.own?.digest;
  const before = await digest();
  expect(await digest()).toBe(before);
  writeFileSync(join(folder, 'half/index.mjs'), '// changed');
  expect(await digest()).not.toBe(before);
});

test('what its metadata needs of secret stores may have any key', async () => {
  half('half');
  const ref = 'token: { secret: { store: s, name: n } }';
  const { config, problems } = await load(component(`, metadata: { ${ref} }`));
  expect(problems).toEqual([]);
  expect(config?.components[0]?.secretRefs).toMatchObject([{ injectAs: 'token', store: 's' }]);
});

test.each([
  ['no folder', undefined, 'there is no', '"layotto primitive build" writes it'],
  ['no JSON', '{', 'is not JSON', 'primitive build'],
  ['another form', { ...DESCRIPTION, schema: 2 }, 'primitive.json: schema: expected 1', ''],
  ['a name that is none', { ...DESCRIPTION, primitive: 'A b' }, 'primitive: expected small letters', ''],
  ['a taken name', { ...DESCRIPTION, primitive: 'state' }, `the primitive "state" is the runtime's own`, ''],
  ['a name of later', { ...DESCRIPTION, primitive: 'pubsub' }, `the runtime's own`, 'choose another name'],
  ['a taken service', { ...DESCRIPTION, service: 'layotto.bridge.v1.State' }, "the runtime's own", 'package'],
  ['no operations', { ...DESCRIPTION, operations: [] }, 'operations: ', ''],
  ['too much', ' '.repeat(2 * 1024 * 1024), 'is larger than 1 MiB', ''],
])('%s is a problem that says what to do', async (_, description, said, fix) => {
  if (description !== undefined) half('half', description);
  const { problems } = await load(component());
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('layotto.yaml:2: components[0].type: ');
  expect(problems[0]).toContain(said);
  expect(problems[0]).toContain(fix);
});

test('without a module or a socket there is nothing to serve', async () => {
  half('half');
  rmSync(join(folder, 'half/index.mjs'));
  const { problems } = await load(component());
  expect(problems).toEqual([expect.stringContaining('index.mjs; write it, or say by "socket"')]);
});

test('a socket goes with a path only', async () => {
  const { problems } = await load('components:\n  - { name: c, type: state.redis, socket: ./s.sock }\n');
  expect(problems).toEqual([expect.stringContaining('only a component whose type is a path has a socket')]);
});

test('one primitive comes from one folder', async () => {
  half('half');
  half('other');
  const { problems } = await load(`${component()}  - { name: d, type: ./other }\n`);
  expect(problems).toEqual([expect.stringContaining('has the primitive rate-counter from another folder')]);
});

test('it is refused where one bridge serves several apps', async () => {
  half('half');
  const { problems } = await load(component(), { ownPrimitives: false });
  expect(problems).toEqual([expect.stringContaining('where one bridge serves several apps')]);
});

test('the policy takes its operations, and no others', async () => {
  half('half');
  const rule = (operation: string): string =>
    `policy: { rules: [{ name: r, deny: { primitives: [rate-counter], operations: [${operation}] } }] }\n`;
  expect((await load(rule('Increment') + component())).problems).toEqual([]);
  const { problems } = await load(rule('Incremen') + component());
  expect(problems).toEqual([expect.stringContaining('did you mean "Increment"?')]);
});
