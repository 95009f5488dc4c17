import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';

import { UserError } from './errors.js';
import { lastLines, openLog } from './log-file.js';
import { endWithUs } from './watchdog.js';

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
    if (bind)
      return new UserError(`Envoy cannot listen on ${bind[1]}: ${bind[2]}; choose another port with --port`);
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

  /** Asks the admin interface; undefined if it does not answer. */
  #admin(method: string, path: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const call = request({
        socketPath: this.options.adminSocket,
        method,
        path,
        timeout: 2_000,
        agent: false,
      });
      call.on('response', (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve(response.statusCode === 200 ? body : undefined));
        response.on('error', () => resolve(undefined));
      });
      call.on('timeout', () => call.destroy());
      call.on('error', () => resolve(undefined));
      call.on('close', () => resolve(undefined));
      call.end();
    });
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
  const path = join(folder, 'bootstrap.json');
  writeFileSync(path, `${JSON.stringify(bootstrap, null, 2)}\n`, { mode: 0o600 });
  return path;
}
