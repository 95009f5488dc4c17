import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { toolsDir } from '../get.mjs';

/** The Node of the bridge's image: a line that is maintained for long, as its project publishes it on npm. */
const VERSION = '24.21.0';
const INTEGRITY: Readonly<Record<string, string>> = {
  x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/** A Node as its project released it. */
export interface NodeProgram {
  version: string;
  /** The program's file. */
  file: string;
  /** The file with its licence. */
  license: string;
}

/**
 * The Node that goes into the image, for this machine's processor: from npm, pinned by its hash, kept in the tools
 * folder.
 *
 * @throws Error if there is none for this machine, or it cannot be fetched
 */
export function nodeProgram(log: (line: string) => void): NodeProgram {
  const folder = join(toolsDir(), `node-${VERSION}`);
  const program = { version: VERSION, file: join(folder, 'bin/node'), license: join(folder, 'LICENSE') };
  if (existsSync(program.file)) return program;
  const integrity = process.platform === 'linux' ? INTEGRITY[process.arch] : undefined;
  if (integrity === undefined) {
    throw new Error(
      `there is no Node for an image made on ${process.platform} on ${process.arch}; give a base in BASE=…`,
    );
  }
  log(`fetching Node ${VERSION} (52 MB) ...`);
  mkdirSync(toolsDir(), { recursive: true });
  const work = mkdtempSync(join(toolsDir(), '.node-'));
  try {
    fetchInto(work, `node-linux-${process.arch}@${VERSION}`, integrity);
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

function fetchInto(work: string, name: string, integrity: string): void {
  const pack = ['pack', name, '--silent', '--ignore-scripts', '--pack-destination', work];
  try {
    execFileSync('npm', pack, { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const reason = String((error as { stderr?: unknown }).stderr ?? error).trim();
    throw new Error(`could not fetch ${name} with npm: ${reason}; you can also give a base in BASE=…`, {
      cause: error,
    });
  }
  const archive = join(work, readdirSync(work).find((file) => file.endsWith('.tgz')) ?? '');
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${name} has the hash ${found}, not ${integrity}`);
  execFileSync('tar', ['-xzf', archive, '-C', work, 'package/bin/node', 'package/LICENSE']);
}
