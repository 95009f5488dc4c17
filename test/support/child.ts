import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

import { eventually } from './wait.js';

/** How much of a child's output is kept, in characters. */
const KEPT = 64 * 1024;

const alive = new Set<Child>();
process.on('exit', () => {
  for (const child of alive) child.signal('SIGKILL');
});

/** A process a test started: its output is kept for failures, and it never outlives the test run. */
export class Child {
  readonly exited: Promise<number>;
  private readonly process: ChildProcess;
  private output = '';
  private code: number | undefined;

  /**
   * @param name what failures call it
   * @param command the program
   * @param args its arguments
   * @param env added to this process's environment
   */
  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
    { env = {}, cwd }: { env?: Record<string, string>; cwd?: string } = {},
  ) {
    this.process = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(this);
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString('utf8')).slice(-KEPT);
    };
    this.process.stdout?.on('data', keep);
    this.process.stderr?.on('data', keep);
    this.exited = new Promise((resolve) => {
      const end = (code: number): void => {
        this.code ??= code;
        alive.delete(this);
        resolve(this.code);
      };
      this.process.once('error', (error) => {
        keep(Buffer.from(`${name} could not be started: ${error.message}\n`));
        end(127);
      });
      this.process.once('close', (code) => end(code ?? 128));
    });
  }

  /** Process id; 0 if it could not be started. */
  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Exit code, or `undefined` while it runs. */
  get exitCode(): number | undefined {
    return this.code;
  }

  /** What it wrote, both streams, the newest 64 KiB. */
  get log(): string {
    return this.output;
  }

  /** The last `lines` lines it wrote, under a heading. */
  tail(lines = 40): string {
    const state = this.code === undefined ? 'running' : `exited with ${this.code}`;
    return `--- ${this.name} (${state})\n${this.output.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  /** Sends a signal; nothing happens if it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.code === undefined) this.process.kill(signal);
  }

  /** SIGSTOP; resolves when all of its threads stand still, which on a busy machine may take a moment. */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP');
    await eventually(
      `${this.name} stands still`,
      async () => {
        if (this.code !== undefined) return true;
        const threads = await readdir(`/proc/${this.pid}/task`);
        const states = threads.map(async (id) => {
          const text = await readFile(`/proc/${this.pid}/task/${id}/stat`, 'utf8').catch(() => ') T');
          return text.charAt(text.lastIndexOf(')') + 2);
        });
        return (await Promise.all(states)).every((state) => state === 'T');
      },
      { everyMs: 2 },
    );
  }

  /** Ends it: SIGTERM, then SIGKILL after `graceMs`; resolves with its exit code. */
  async stop(graceMs = 5_000): Promise<number> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }

  /** Resident memory in KiB, as the kernel counts it; 0 once it has ended. */
  rssKiB(): Promise<number> {
    return this.statusKiB('VmRSS');
  }

  /** The same without pages of files, such as those of a memory-mapped store. */
  anonKiB(): Promise<number> {
    return this.statusKiB('RssAnon');
  }

  private async statusKiB(name: string): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  }
}
