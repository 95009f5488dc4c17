import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { Ajv2020 } from 'ajv/dist/2020.js';

import type { Checksums } from '../../tools/oci/build.js';
import { envoyBinary } from '../../tools/get.mjs';
import { Child } from '../support/child.js';
import { which } from '../support/container.js';
import { http1 } from '../support/http1.js';
import { blob, read, sha256, unpack } from '../support/oci.js';
import type { ImageConfig } from '../support/oci.js';
import { CONFIG_SCHEMA, INDEX_SCHEMA, LAYOUT_SCHEMA, MANIFEST_SCHEMA } from '../support/oci-schemas.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';
import { manifestsRun } from './manifests.js';

/** What `make oci` makes, read by something else than made it; the bridge's image is unpacked and run. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const NODE_OPTIONS = ['--no-warnings', '--import', './scripts/lib/typescript.mjs'];
const SOURCE = {
  SOURCE_DATE_EPOCH: '1790000000',
  SOURCE_REVISION: '0123456789abcdef',
  SOURCE_URL: 'https://example.com/layotto',
};
const modules = readdirSync(join(root, 'dist/modules'))
  .filter((file) => file.endsWith('.wasm'))
  .map((file) => file.replace(/\.wasm$/, ''));

let folder: string;
let made: string;
let checksums: Checksums;

function build(
  output: string,
  { env = {}, umask = '022' }: { env?: Record<string, string>; umask?: string } = {},
): string {
  const command = `umask ${umask} && exec "$0" "$@"`;
  const args = [...NODE_OPTIONS, 'scripts/oci.mjs', output];
  return execFileSync('sh', ['-c', command, process.execPath, ...args], {
    cwd: root,
    env: { ...process.env, BASE: '', ...SOURCE, ...env },
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-oci-'));
  // The image's user has to come to its files.
  chmodSync(folder, 0o711);
  made = join(folder, 'made');
  build(made);
  checksums = JSON.parse(readFileSync(join(made, 'checksums.json'), 'utf8')) as Checksums;
}, 180_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Every file under a folder with its SHA-256. */
function files(under: string): Record<string, string> {
  const found = readdirSync(under, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    found
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [file.slice(under.length), sha256(readFileSync(file))]),
  );
}

it('makes the same bytes again, whatever the time zone and the umask', () => {
  const again = join(folder, 'again');
  build(again, { env: { TZ: 'Asia/Tokyo', LC_ALL: 'C' }, umask: '077' });
  expect(Object.keys(files(made)).length).toBeGreaterThan(60);
  expect(files(again)).toEqual(files(made));
}, 180_000);

const layouts = [...modules.flatMap((name) => [name, `${name}-artifact`]), 'bridge'];

it('makes an image and an artifact of every module, and the bridge', () => {
  expect(modules).toContain('runtime');
  expect(readdirSync(made).sort()).toEqual([...layouts, 'checksums.json', 'digests'].sort());
});

it.each(layouts)('%s is a layout as the image specification has it', (name) => {
  const layout = join(made, name);
  const ajv = new Ajv2020({ allErrors: true });
  const check = (schema: object, value: unknown): void => {
    ajv.validate(schema, value);
    expect(ajv.errors).toBeNull();
  };
  check(LAYOUT_SCHEMA, JSON.parse(readFileSync(join(layout, 'oci-layout'), 'utf8')));
  check(INDEX_SCHEMA, JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')));
  const { descriptor, manifest } = read(layout);
  check(MANIFEST_SCHEMA, manifest);
  expect(descriptor.annotations).toEqual({ 'org.opencontainers.image.ref.name': '0.1.0' });
  const blobs = [descriptor, manifest.config, ...manifest.layers];
  for (const one of blobs) blob(layout, one);
  // Nothing lies about that no descriptor names.
  expect(readdirSync(join(layout, 'blobs/sha256')).sort()).toEqual(
    [...new Set(blobs.map(({ digest }) => digest.slice('sha256:'.length)))].sort(),
  );
  if (manifest.config.mediaType !== 'application/vnd.oci.image.config.v1+json') return;
  const config = JSON.parse(blob(layout, manifest.config).toString()) as ImageConfig;
  check(CONFIG_SCHEMA, config);
  const contents = manifest.layers.map((layer) => `sha256:${sha256(gunzipSync(blob(layout, layer)))}`);
  expect(config.rootfs.diff_ids).toEqual(contents);
  expect(config.created).toBe('2026-09-21T14:13:20Z');
  for (const [label, value] of Object.entries(config.config.Labels)) {
    expect(manifest.annotations[label]).toBe(value);
  }
});

it.each(layouts)('%s says what it is and where it is from', (name) => {
  const prefix = 'org.opencontainers.image';
  expect(read(join(made, name)).manifest.annotations).toMatchObject({
    [`${prefix}.title`]: `layotto/${name.replace('-artifact', '')}`,
    [`${prefix}.description`]: expect.stringMatching(/^Layotto on Envoy: /) as string,
    [`${prefix}.version`]: '0.1.0',
    [`${prefix}.revision`]: SOURCE.SOURCE_REVISION,
    [`${prefix}.licenses`]: 'Apache-2.0',
    [`${prefix}.source`]: SOURCE.SOURCE_URL,
    [`${prefix}.created`]: '2026-09-21T14:13:20Z',
  });
});

/** The module in an image, found as Istio's agent finds it (pkg/wasm/imagefetcher.go). */
function asIstioReads(layout: string): { variant: string; wasm: Buffer } {
  const { manifest } = read(layout);
  const last = manifest.layers.at(-1);
  if (last?.mediaType === 'application/vnd.oci.image.layer.v1.tar+gzip') {
    const options = { input: blob(layout, last), maxBuffer: 1 << 24 };
    return { variant: 'compat', wasm: execFileSync('tar', ['-xzOf', '-', 'plugin.wasm'], options) };
  }
  const content = manifest.layers.find(
    ({ mediaType }) => mediaType === 'application/vnd.module.wasm.content.layer.v1+wasm',
  );
  if (manifest.layers.length !== 2 || content === undefined) throw new Error('Istio would not take it');
  return { variant: 'oci', wasm: blob(layout, content) };
}

it.each(modules)('Istio would find %s in both forms', (name) => {
  const file = readFileSync(join(root, `dist/modules/${name}.wasm`));
  const image = asIstioReads(join(made, name));
  expect(image.variant).toBe('compat');
  expect(image.wasm.equals(file)).toBe(true);
  expect(read(join(made, name)).manifest.annotations['module.wasm.image/variant']).toBe('compat');
  const artifact = asIstioReads(join(made, `${name}-artifact`));
  expect(artifact.variant).toBe('oci');
  expect(artifact.wasm.equals(file)).toBe(true);
  expect(read(join(made, `${name}-artifact`)).manifest.config.mediaType).toBe(
    'application/vnd.module.wasm.config.v1+json',
  );
  expect(checksums.modules[`${name}.wasm`]).toBe(sha256(file));
});

it('says the digests by which the images are asked for', () => {
  expect(checksums).toMatchObject({ version: '0.1.0', revision: SOURCE.SOURCE_REVISION });
  for (const name of layouts) {
    expect(checksums.images[name]).toEqual({
      name: `layotto/${name}:0.1.0`,
      digest: read(join(made, name)).descriptor.digest,
    });
  }
});

it('layotto envoy envoyfilter takes the digest from its file', () => {
  const sha256Option = readFileSync(join(made, 'digests/runtime'), 'utf8');
  expect(`sha256:${sha256Option}`).toBe(checksums.images['runtime']?.digest);
  const url = 'oci://registry.example.com/layotto/runtime:0.1.0';
  const options = ['--module-url', url, '--module-sha256', sha256Option];
  const command = ['cli/bin/layotto.js', 'envoy', 'envoyfilter', ...options];
  const printed = execFileSync(process.execPath, command, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  expect(printed).toContain(url);
  expect(printed).toContain(sha256Option);
});

describe('the bridge', () => {
  let rootfs: string;
  let config: ImageConfig;

  beforeAll(() => {
    rootfs = join(folder, 'rootfs');
    unpack(join(made, 'bridge'), rootfs);
    const layout = join(made, 'bridge');
    config = JSON.parse(blob(layout, read(layout).manifest.config).toString()) as ImageConfig;
  });

  /** Starts the image's program with only the image's files and variables, as its user where we may say who. */
  function start(name: string, ...args: string[]): Child {
    const { Env = [], Entrypoint = [], User = '' } = config.config;
    const inside =
      process.getuid?.() === 0
        ? ['chroot', `--userspec=${User}`, rootfs]
        : ['unshare', '--map-root-user', 'chroot', rootfs];
    const [program = '', ...rest] = inside;
    return new Child(name, 'env', ['-i', ...Env, which(program), ...rest, ...Entrypoint, ...args]);
  }

  it('holds what the npm package holds, and no development packages', () => {
    const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const list = execFileSync('npm', pack, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    const [about] = Object.values(JSON.parse(list) as Record<string, { files: { path: string }[] }>);
    const packed = about?.files.map(({ path }) => `/${path}`).sort();
    const inImage = Object.keys(files(join(rootfs, 'opt/layotto')));
    expect(inImage.filter((file) => !file.startsWith('/node_modules/'))).toEqual(packed);
    const packages = readdirSync(join(rootfs, 'opt/layotto/node_modules'));
    expect(packages).toEqual(expect.arrayContaining(['lmdb', '@lmdb']));
    expect(packages.filter((name) => /jest|eslint|assemblyscript|tar-stream/.test(name))).toEqual([]);
  });

  it('runs from its own files as its own user, for an Envoy with the module of the other image', async () => {
    expect(config.config).toMatchObject({
      User: '65532:65532',
      Cmd: ['bridge'],
      WorkingDir: '/var/lib/layotto',
    });
    const port = await freePort();
    const yaml = `listen: {port: ${port}}\nenvoy: {metricsPort: 0}\n`;
    const configFile = join(folder, 'layotto.yaml');
    writeFileSync(configFile, yaml);
    writeFileSync(join(rootfs, 'etc/layotto.yaml'), yaml);
    const socket = '/run/layotto/session.sock';
    const bridge = start(
      'the bridge of the image',
      ...(config.config.Cmd ?? []),
      ...['--config', '/etc/layotto.yaml', '--socket', socket, '--data-dir', '/var/lib/layotto'],
    );
    const module = join(folder, 'plugin.wasm');
    writeFileSync(module, asIstioReads(join(made, 'runtime')).wasm);
    const bootstrap = join(folder, 'bootstrap.yaml');
    const command = [join(root, 'cli/bin/layotto.js'), 'envoy', 'bootstrap'];
    const options = ['-c', configFile, '--module-file', module, '--bridge-socket', join(rootfs, socket)];
    mkdirSync(join(folder, '.layotto'));
    const yamlText = execFileSync(process.execPath, [...command, ...options], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    writeFileSync(bootstrap, yamlText);
    const { path } = await envoyBinary({ log: () => undefined });
    const envoy = new Child('envoy', path, ['-c', bootstrap, '--disable-hot-restart', '--concurrency', '1']);
    try {
      const at = '/v1.0/state/statestore';
      const body = '[{"key":"k","value":"out of an image"}]';
      await eventually(
        'the state is saved',
        async () => {
          for (const child of [bridge, envoy]) {
            if (child.exitCode !== undefined) throw new Error(`${child.name} ended: ${child.log}`);
          }
          const saved = await http1({ port }, 'POST', at, { body });
          if (saved.status !== 204) throw new Error(`${saved.status} ${saved.body}`);
          return true;
        },
        { timeoutMs: 30_000 },
      );
      const got = await http1({ port }, 'GET', `${at}/k`);
      expect(got.body).toBe('"out of an image"');
    } finally {
      await Promise.all([envoy.stop(), bridge.stop()]);
    }
    expect(await bridge.exited).toBe(0);
  }, 60_000);

  manifestsRun(() => ({ rootfs, config: config.config }));

  it('brings the layotto command', async () => {
    const env = ['-i', ...(config.config.Env ?? []), which('chroot')];
    const command = new Child('layotto', 'env', [...env, rootfs, '/usr/local/bin/layotto', 'version']);
    expect(await command.exited).toBe(0);
    expect(command.log).toMatch(/^layotto 0\.1\.0$/m);
  });
});

describe('a base that is given', () => {
  const base = (path: string, output: string): string => build(join(folder, output), { env: { BASE: path } });

  it('is put below the layers of the bridge', () => {
    base(join(made, 'bridge'), 'on-base');
    const layout = join(folder, 'on-base/bridge');
    const below = read(join(made, 'bridge'));
    const { manifest } = read(layout);
    expect(manifest.annotations['org.opencontainers.image.base.digest']).toBe(below.descriptor.digest);
    const digests = (layers: readonly { digest: string }[]): string[] => layers.map(({ digest }) => digest);
    const own = digests(below.manifest.layers);
    expect(digests(manifest.layers)).toEqual([...own, ...own.slice(1)]);
    const config = JSON.parse(blob(layout, manifest.config).toString()) as ImageConfig;
    expect(config.rootfs.diff_ids).toHaveLength(5);
    expect(config.config.Entrypoint?.[0]).toBe('/usr/local/bin/node');
    expect(config.config.Env).toContain('PATH=/usr/local/bin:/usr/bin:/bin');
  }, 120_000);

  it.each([
    ['nowhere', 'is no OCI image layout; it has no file oci-layout'],
    ['state', 'none of its layers has a program bin/node'],
    ['state-artifact', 'a layer is application/vnd.module.wasm.config.v1+json'],
  ])('%s is refused with the reason', (name, reason) => {
    expect(() => base(join(made, name), 'refused')).toThrow(reason);
  });
});
