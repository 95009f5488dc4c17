import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';

import { layerOf } from './layer.js';
import type { Entry } from './layer.js';
import { LAYER } from './layout.js';
import type { Blob, Platform } from './layout.js';
import { nodeProgram } from './node-program.js';

/** What the bridge's layers are put on. */
export interface Base {
  platform: Platform;
  layers: readonly Blob[];
  diffIds: readonly string[];
  /** Variables of the environment, as `NAME=value`. */
  env: readonly string[];
  history: readonly object[];
  /** Where its Node is, as an absolute path. */
  node: string;
  /** The manifest it was read from. */
  digest?: string;
}

/** User and group that the bridge runs as, by the convention of images without a shell. */
export const USER = 65532;
/** Where the bridge runs, and so keeps data unless told otherwise. */
export const HOME = '/var/lib/layotto';

const PASSWD = `root:x:0:0:root:/root:/sbin/nologin\nlayotto:x:${USER}:${USER}:layotto:${HOME}:/sbin/nologin\n`;
const GROUP = `root:x:0:\nlayotto:x:${USER}:\n`;
/** Names come from /etc/hosts and DNS; since 2.34 glibc needs no library for either. */
const NSSWITCH = 'passwd: files\ngroup: files\nhosts: files dns\n';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * A base without a registry: Node as its project publishes it, the shared libraries of this machine that it and the
 * bridge's native modules need, and the few files that every program looks for. No shell, no package manager.
 *
 * @param natives native modules of the bridge's packages, whose libraries are needed too
 * @throws Error if this machine's C library cannot be taken
 */
export async function ownBase(natives: readonly string[], log: (line: string) => void): Promise<Base> {
  const node = nodeProgram(log);
  const libraries = librariesOf([node.file, ...natives]);
  const { blob, diffId } = await layerOf([
    { path: 'etc/passwd', content: Buffer.from(PASSWD) },
    { path: 'etc/group', content: Buffer.from(GROUP) },
    { path: 'etc/nsswitch.conf', content: Buffer.from(NSSWITCH) },
    { path: 'run', folder: true },
    { path: 'run/layotto', folder: true, owner: USER },
    { path: 'tmp', folder: true, mode: 0o1777 },
    { path: HOME.slice(1), folder: true, owner: USER },
    { path: 'var/run', link: '/run' },
    { path: 'usr/local/bin/node', content: readFileSync(node.file), executable: true },
    { path: 'usr/share/doc/node/LICENSE', content: readFileSync(node.license) },
    ...libraries.map((path) => ({ path: path.slice(1), content: readFileSync(path), executable: true })),
    ...originOf(libraries),
  ]);
  const comment = `Node ${node.version} and ${libraries.length} shared libraries`;
  return {
    platform: { architecture: ARCHITECTURES[process.arch] ?? process.arch, os: 'linux' },
    layers: [{ mediaType: LAYER, bytes: blob }],
    diffIds: [diffId],
    env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'make oci', comment }],
    node: '/usr/local/bin/node',
  };
}

/** Shared libraries, with the loader, that programs need, by the paths at which the loader looks for them. */
function librariesOf(files: readonly string[]): string[] {
  const found = new Set<string>();
  for (const file of files) {
    const needed = execFileSync('ldd', [file], { encoding: 'utf8' });
    for (const [, path] of needed.matchAll(/(?:^|=>)\s*(\/\S+) \(0x/gm)) found.add(path as string);
    const missing = /(\S+) => not found/.exec(needed)?.[1];
    if (missing !== undefined) throw new Error(`${file} needs ${missing}, which is not on this machine`);
  }
  const version = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const glibc = version.header?.glibcVersionRuntime ?? 'none';
  const [major = 0, minor = 0] = glibc.split('.').map(Number);
  if (!(major > 2 || (major === 2 && minor >= 34))) {
    throw new Error(`the image needs glibc 2.34 or newer; this machine has ${glibc}; give a base in BASE=…`);
  }
  return [...found].sort();
}

/**
 * What tells where libraries are from: the licences and the packages, as scanners look for them, and the system. Only
 * on Debian and its kin; other systems' libraries are taken without.
 */
function originOf(libraries: readonly string[]): Entry[] {
  const packages = new Set(libraries.map(packageOf).filter((name) => name !== undefined));
  const entries: Entry[] = [];
  for (const name of [...packages].sort()) {
    const plain = name.replace(/:.*/, '');
    const status = execFileSync('dpkg-query', ['--status', name]);
    entries.push({ path: `var/lib/dpkg/status.d/${plain}`, content: status });
    const copyright = `usr/share/doc/${plain}/copyright`;
    if (existsSync(`/${copyright}`))
      entries.push({ path: copyright, content: readFileSync(`/${copyright}`) });
  }
  if (existsSync('/etc/os-release')) {
    entries.push({ path: 'etc/os-release', content: readFileSync('/etc/os-release') });
  }
  return entries;
}

/** The Debian package of a file, which may be known by the name without or with `/usr`. */
function packageOf(path: string): string | undefined {
  const real = realpathSync(path);
  for (const name of new Set([path, real, real.replace(/^\/usr/, '')])) {
    try {
      const line = execFileSync('dpkg-query', ['--search', name], { encoding: 'utf8', stdio: 'pipe' });
      return line.slice(0, line.indexOf(': '));
    } catch {
      continue;
    }
  }
  return undefined;
}
