import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { bootstrapFile } from './data-files.js';
import { UserError } from './errors.js';
import { lastLines, linesFrom, logSize, openLog } from './log-file.js';
import { askSocket } from './socket-http.js';
import { endWithUs } from './watchdog.js';

/** How long Envoy may take to take over a file that it watches. */
const TAKE_OVER_MS = 5_000;

export interface EnvoyOptions {
  /** Path of Envoy. */
  binary: string;
  /** The configuration for `envoy -c`, in Envoy's JSON form. */
  bootstrap: object;
  /** Folder for the bootstrap and the files it refers to; emptied first. */
  folder: string;
  /** Contents of those files by name. */
  files: Readonly<Record<string, string | Uint8Array>>;
  concurrency: number;
  adminSocket: string;
  logFile: string;
}

/** Envoy's log as JSON lines, like the bridge's; `%j` is its message as it stands inside a JSON text. */
const LOG_FORMAT = '{"time":"%Y-%m-%dT%T.%e%z","level":"%l","logger":"%n","msg":"%j"}';

/** How the statistics begin of a filter whose configuration is discovered. */
export function filterStats(filter: string): string {
  return `extension_config_discovery.http_filter.${filter}`;
}

/** An Envoy of our own: started, asked to finish, and ended. */
export class EnvoyProcess {
  /** Resolves when it has ended, with what to call that. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #running = true;

  constructor(private readonly options: EnvoyOptions) {
    const bootstrap = writeFiles(options);
    const log = openLog(options.logFile);
    const args = ['-c', bootstrap, '--concurrency', String(options.concurrency), '--disable-hot-restart'];
    // In a process group of its own: Ctrl-C must reach the app first, and Envoy only when the app is done.
    this.#child = spawn(options.binary, [...args, '--log-level', 'warning', '--log-format', LOG_FORMAT], {
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const release = endWithUs(this.#child);
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#running = false;
        release();
        resolve(how);
      };
      this.#child.once('error', (error) => end(`could not be started: ${error.message}`));
      this.#child.once('exit', (code, signal) =>
        end(signal === null ? `exit code ${code}` : `signal ${signal}`),
      );
    });
  }

  /** Whether it has not ended yet. */
  get running(): boolean {
    return this.#running;
  }

  /** Why it ended by itself, for people: a port that is taken, or the end of its log. */
  failure(how: string): UserError {
    const lines = lastLines(this.options.logFile).map(readable);
    const bind = lines
      .map((line) => /cannot bind '([^']+)': (.+)$/.exec(line))
      .find((match) => match !== null);
    if (bind) return new UserError(`Envoy cannot listen on ${bind[1]}: ${bind[2]}; choose another port`);
    const tail = lines.map((line) => `\n  ${line}`).join('');
    return new UserError(`Envoy ended (${how}); the end of ${this.options.logFile}:${tail}`);
  }

  /**
   * Closes the listeners, then waits until no call is in flight.
   *
   * @param timeoutMs how long calls may take
   */
  async drain(timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs;
    if ((await this.#admin('POST', '/drain_listeners')) === undefined) return;
    while (this.#running && Date.now() < end) {
      const stats = await this.#admin('GET', '/stats?filter=downstream_rq_active$');
      if (stats === undefined || activeCalls(stats) === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Ends it, the hard way if it does not end within `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (!this.#running) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#running) this.#child.kill('SIGKILL');
  }

  /**
   * Gives it another content for a file that it watches, and waits until it says what it made of it.
   *
   * @param stats how the statistics begin that count what it makes of it, see `filterStats`
   * @returns what went wrong; undefined if it was taken over
   */
  async push(name: string, content: string, stats: string): Promise<string | undefined> {
    const before = await this.#discoveries(stats);
    if (before === undefined) return 'Envoy does not answer';
    const logged = logSize(this.options.logFile);
    this.write(name, content);
    const end = Date.now() + TAKE_OVER_MS;
    while (this.#running && Date.now() < end) {
      const now = await this.#discoveries(stats);
      if (now !== undefined && now.refused > before.refused) return this.#refusal(logged);
      if (now !== undefined && now.taken > before.taken) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return 'Envoy did not take it over in time';
  }

  /**
   * Waits until the clusters that it was given are in use: before that it looks up their addresses.
   *
   * @returns what is lacking when that takes too long
   */
  async warm(): Promise<string | undefined> {
    const end = Date.now() + TAKE_OVER_MS;
    while (this.#running && Date.now() < end) {
      const stats = await this.#admin('GET', '/stats?filter=warming_clusters$');
      if (stats?.includes('warming_clusters: 0\n') === true) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return 'Envoy has not found all addresses in time; are there names among them that DNS does not answer for?';
  }

  /** Gives it another content for a file that it watches. */
  write(name: string, content: string | Uint8Array): void {
    const { folder } = this.options;
    // Written elsewhere and renamed: a rename into the folder is what it watches for.
    const written = join(dirname(folder), `${name}.next`);
    writeFileSync(written, content, { mode: 0o600 });
    renameSync(written, join(folder, name));
  }

  /** What Envoy says against what it was given. @param from where its log ended before */
  #refusal(from: number): string {
    const { logFile } = this.options;
    const said = linesFrom(logFile, from).map(readable);
    const lines = said.filter((line) => /wasm|plugin|extension|config|proto/i.test(line)).slice(0, 8);
    return `Envoy refused it; ${logFile} says:${lines.map((line) => `\n  ${line}`).join('')}`;
  }

  /** How many configurations it has taken over, and refused. */
  async #discoveries(prefix: string): Promise<{ taken: number; refused: number } | undefined> {
    const pattern = `^${prefix.replaceAll('.', '\\.')}\\.`;
    const stats = await this.#admin('GET', `/stats?filter=${encodeURIComponent(pattern)}`);
    if (stats === undefined) return undefined;
    const sum = (...names: string[]): number =>
      stats
        .split('\n')
        .map((line) => line.split(': '))
        .filter(([name]) => names.some((one) => name === `${prefix}.${one}`))
        .reduce((total, [, count]) => total + Number(count), 0);
    return { taken: sum('config_reload'), refused: sum('update_rejected', 'config_fail') };
  }

  /** How often the virtual machines of each filter's module were made anew after a trap, by the filter's name. */
  async reloads(): Promise<ReadonlyMap<string, number> | undefined> {
    const stats = await this.#admin('GET', '/stats?filter=vm_reload_success$');
    if (stats === undefined) return undefined;
    const found = new Map<string, number>();
    for (const [, filter = '', count] of stats.matchAll(/^wasm\.(.+)\.vm_reload_success: (\d+)$/gm))
      found.set(filter, Number(count));
    return found;
  }

  /** Asks the admin interface; undefined if it does not answer. */
  async #admin(method: string, path: string): Promise<string | undefined> {
    const answer = await askSocket(this.options.adminSocket, path, { method });
    return answer?.status === 200 ? answer.body : undefined;
  }
}

/** A line of the log as a person reads it. What Envoy writes before it has a log is no JSON, and stays. */
function readable(line: string): string {
  try {
    const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
    return level === undefined || msg === undefined ? line : `[${level}] ${msg}`;
  } catch {
    return line;
  }
}

/** Calls in flight on every listener but the admin's own, from lines such as `http.x.downstream_rq_active: 2`. */
function activeCalls(stats: string): number {
  let active = 0;
  for (const [, prefix, count] of stats.matchAll(/^http\.(.+)\.downstream_rq_active: (\d+)$/gm)) {
    if (prefix !== 'admin') active += Number(count);
  }
  return active;
}

function writeFiles({ folder, files, bootstrap }: EnvoyOptions): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Older modules and configurations would only confuse whoever looks here.
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), content, { mode: 0o600 });
  const path = bootstrapFile(folder);
  writeFileSync(path, `${JSON.stringify(bootstrap, null, 2)}\n`, { mode: 0o600 });
  return path;
}
