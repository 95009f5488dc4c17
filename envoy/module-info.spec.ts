import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { tinyModule } from '../test/support/tiny-module.js';
import { bridgeProblems, envoyProblems, MODULE_SECTION, readModule } from './module-info.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string };
const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function built(name: string): Uint8Array {
  return readFileSync(`${root}/dist/modules/${name}.wasm`);
}

/** A module with a custom section after what it has. */
function withSection(wasm: Uint8Array, content: string): Uint8Array {
  const body = [MODULE_SECTION.length, ...Buffer.from(MODULE_SECTION + content)];
  return Uint8Array.from([...wasm, 0, (body.length & 0x7f) | 0x80, body.length >>> 7, ...body]);
}

/** A module that imports one function and exports nothing. */
function importing(module: string, name: string): Uint8Array {
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  const imported = [1, ...text(module), ...text(name), 0, 0];
  return Uint8Array.from([...HEADER, 1, 4, 1, 0x60, 0, 0, 2, imported.length, ...imported]);
}

describe('the modules that are built', () => {
  const names = readdirSync(`${root}/assembly/modules`).map((file) => file.replace('.ts', ''));

  test.each(names)('%s says what it is, and Envoy can run it', (name) => {
    const info = readModule(built(name));
    expect(info.sectionProblem).toBeUndefined();
    expect(info.section).toMatchObject({ schema: 1, name, version, protocol: 1 });
    expect(info.section?.capabilities).toEqual(info.imports.map((imported) => imported.name).sort());
    expect(envoyProblems(info)).toEqual([]);
  });

  test('what one serves and needs is what it installs', () => {
    const { section } = readModule(built('state'));
    expect(section?.primitives).toContainEqual({
      name: 'state',
      doors: ['dapr_grpc', 'dapr_http', 'json', 'layotto_grpc'],
    });
    expect(section?.services).toEqual([
      'layotto.bridge.v1.Actuator',
      'layotto.bridge.v1.Json',
      'layotto.bridge.v1.State',
    ]);
    expect(readModule(built('lock')).section?.services).not.toContain('layotto.bridge.v1.State');
  });

  test('no method of the bridge is named but by bridgeMethod', () => {
    const stray = /(?<!bridgeMethod\(\s*)'layotto\.bridge\.v1\.\w+\//;
    for (const file of readdirSync(`${root}/assembly`, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.includes('gen/')) continue;
      expect([file, stray.exec(readFileSync(`${root}/assembly/${file}`, 'utf8'))?.[0]]).toEqual([
        file,
        undefined,
      ]);
    }
  });
});

describe('modules from elsewhere', () => {
  test('one without a section is read, and needs nothing of the bridge', () => {
    const info = readModule(tinyModule());
    expect(info).toMatchObject({
      abi: ['0.2.1'],
      imports: [],
      exports: expect.arrayContaining(['proxy_on_configure']) as unknown,
    });
    expect(info.section).toBeUndefined();
    expect(envoyProblems(info)).toEqual([]);
    expect(bridgeProblems(info, { version: '1', protocol: 7, services: [] })).toEqual([]);
  });

  test('what keeps Envoy from running one is named', () => {
    expect(envoyProblems(readModule(Uint8Array.from(HEADER)))).toEqual([
      expect.stringContaining('does not export proxy_abi_version_0_2_1'),
      expect.stringContaining('does not export proxy_on_memory_allocate'),
      expect.stringContaining('does not export proxy_on_context_create'),
    ]);
    expect(envoyProblems(readModule(importing('env', 'proxy_teleport')))).toContain(
      'it imports env.proxy_teleport, which Envoy does not have',
    );
    expect(envoyProblems(readModule(importing('env', 'proxy_log'))).join()).not.toContain('imports');
  });

  test.each([
    ['not WebAssembly', Buffer.from('plain text'), /does not begin with \\0asm/],
    ['cut off', built('hello').subarray(0, 5_000), /not valid WebAssembly/],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(() => readModule(bytes)).toThrow(reason);
  });

  test.each([
    ['{', /not JSON/],
    ['null', /expected object/],
    ['{"schema":2}', /version 2 of the form, and this layotto reads 1/],
    ['{"schema":1,"name":"x"}', /^version: /],
  ])('a section of %s is said to be unreadable', (content, reason) => {
    const info = readModule(withSection(tinyModule(), content));
    expect(info.section).toBeUndefined();
    expect(info.sectionProblem).toMatch(reason);
  });
});

test('what a bridge lacks is named, with both versions', () => {
  const info = readModule(built('state'));
  const services = info.section?.services ?? [];
  expect(bridgeProblems(info, { version: '0.9', protocol: 1, services })).toEqual([]);
  const [lacking] = bridgeProblems(info, { version: '0.9', protocol: 1, services: services.slice(0, -1) });
  expect(lacking).toContain(
    `state ${version} needs layotto.bridge.v1.State, which the bridge (0.9) does not have`,
  );
  expect(bridgeProblems(info, { version: '0.9', protocol: 2, services })).toEqual([
    expect.stringContaining(`state ${version} speaks protocol 1, the bridge (0.9) 2`),
  ]);
});
