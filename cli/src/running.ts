import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';

import { bridgeAdminSocket, envoyAdminSocket } from '../../components-bridge/src/config/sockets.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { extensionFolder } from '../../envoy/bootstrap.js';
import { bootstrapFile, configFile, lockFile } from './data-files.js';
import { UserError } from './errors.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

/** Options that say which running runtime is meant. */
export const RUNNING_OPTIONS: readonly Option[] = [
  { name: 'data-dir', value: 'DIR', help: 'data folder of the runtime (./.layotto)' },
];

/** How long each answer may take. */
const ANSWER_MS = 3_000;
/** Longest answer that is read: a configuration dump of a large Envoy has a few MiB. */
const MOST_BYTES = 64 * 1024 * 1024;

/** A process of the runtime. */
export interface ProcessFacts {
  pid: number;
  /** Resident memory in bytes. */
  rssBytes: number;
}

/** A runtime that was started by `layotto run`, seen from outside. */
export class Running {
  private constructor(
    readonly dataDir: string,
    /** The configuration it was started with or last took over. It holds secrets. */
    readonly config: RuntimeConfig,
    private readonly parent: number,
  ) {}

  /** @throws UserError if nothing runs in the data folder */
  static find(values: Values): Running {
    const dataDir = resolve(text(values, 'data-dir') ?? '.layotto');
    const lock = json<{ pid?: unknown }>(lockFile(dataDir));
    const config = json<RuntimeConfig>(configFile(dataDir));
    if (config === undefined || typeof lock?.pid !== 'number' || !exists(lock.pid))
      throw new UserError(
        `nothing runs in ${dataDir}; start it with layotto run, or give another by --data-dir`,
      );
    return new Running(dataDir, config, lock.pid);
  }

  /** What Envoy's admin interface answers; undefined if it does not. */
  envoy(path: string): Promise<string | undefined> {
    return ask(envoyAdminSocket(this.dataDir), path);
  }

  /** What the bridge's page says; undefined if it does not answer. */
  bridge(path: string): Promise<string | undefined> {
    return ask(bridgeAdminSocket(this.dataDir), path);
  }

  /** Its processes; one that is not there is left out. */
  processes(): {
    run: ProcessFacts | undefined;
    envoy: ProcessFacts | undefined;
    bridge: ProcessFacts | undefined;
  } {
    const children = childrenOf(this.parent);
    const find = (part: string): ProcessFacts | undefined => {
      const pid = children.find((child) => commandOf(child).includes(part));
      return pid === undefined ? undefined : factsOf(pid);
    };
    return {
      run: factsOf(this.parent),
      envoy: find(bootstrapFile(extensionFolder(this.dataDir))),
      bridge: find(join('bridge', 'main.js')),
    };
  }
}

/** What a file holds; undefined if it is not there or not JSON. */
function json<Content>(path: string): Content | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Content;
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

function factsOf(pid: number): ProcessFacts | undefined {
  const kib = /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? undefined : { pid, rssBytes: Number(kib) * 1024 };
}

/** A GET on a Unix socket; undefined for anything but 200. */
function ask(socketPath: string, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path, timeout: ANSWER_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MOST_BYTES) call.destroy();
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString('utf8') : undefined),
      );
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.on('close', () => resolve(undefined));
    call.end();
  });
}
