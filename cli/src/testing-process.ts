import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import type * as Ports from '../../tools/free-port.mjs';
import { findInstallation } from './installation.js';

const START_MS = 30_000;

/** A `layotto run` for tests: in a folder and on ports of its own. */
export class TestProcess {
  /** What is put there is gone with it. */
  readonly folder = mkdtempSync(join(tmpdir(), 'layotto-test-'));
  readonly #child: ChildProcess;

  private constructor(
    readonly port: number,
    config: Record<string, unknown>,
  ) {
    // JSON is YAML.
    writeFileSync(join(this.folder, 'layotto.yaml'), JSON.stringify(config));
    const args = ['-c', join(this.folder, 'layotto.yaml'), '--port', String(port), '--metrics-port', '0'];
    this.#child = spawn(process.execPath, [program(), 'run', ...args, '--data-dir', this.#dataDir], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /**
   * @param config as in layotto.yaml
   * @throws Error with what `layotto` said, if it does not start
   */
  static async start(config: Record<string, unknown>): Promise<TestProcess> {
    const started = new TestProcess(await freePort(), config);
    try {
      await untilReady(started.#child);
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  }

  /** Runs a command of `layotto` that asks the running one. @throws Error with what it said */
  async layotto(...args: string[]): Promise<void> {
    await promisify(execFile)(process.execPath, [program(), ...args, '--data-dir', this.#dataDir]);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #dataDir(): string {
    return join(this.folder, 'data');
  }
}

function program(): string {
  return join(findInstallation().root, 'cli/bin/layotto.js');
}

async function untilReady(child: ChildProcess): Promise<void> {
  if (child.stderr === null) return;
  const timer = setTimeout(() => child.kill('SIGTERM'), START_MS);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (!line.includes('ready in')) continue;
    clearTimeout(timer);
    child.stderr.resume();
    return;
  }
  clearTimeout(timer);
  throw new Error(`layotto run did not start:\n${said.join('\n')}`);
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  // Loaded by path, because it stands outside of what is compiled.
  const path = join(findInstallation().root, 'tools/free-port.mjs');
  const ports = (await import(pathToFileURL(path).href)) as typeof Ports;
  return ports.freePort();
}
