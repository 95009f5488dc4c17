import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import { freePort } from './ports.js';
import { eventually } from './wait.js';

const bin = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));

/** Ends every test that starts the command: what it may leave is looked for by its folder's name. */
export class CommandLab {
  /** A folder of the test's own; it is also where the command runs. */
  readonly folder = mkdtempSync(join(tmpdir(), 'layotto-cli-'));
  readonly dataDir = join(this.folder, 'data');
  private readonly children: Child[] = [];

  private constructor(
    readonly port: number,
    readonly metricsPort: number,
  ) {}

  static async open(): Promise<CommandLab> {
    return new CommandLab(await freePort(), await freePort());
  }

  /** Starts the command with these arguments, in the lab's folder. */
  layotto(args: readonly string[], env: Record<string, string> = {}): Child {
    const child = new Child('layotto', process.execPath, [bin, ...args], { env, cwd: this.folder });
    this.children.push(child);
    return child;
  }

  /** `layotto run` on the lab's own ports and data folder. */
  run(
    command: readonly string[] = [],
    { env, options = [] }: { env?: Record<string, string>; options?: string[] } = {},
  ): Child {
    return this.layotto(this.runArguments(command, options), env);
  }

  /** The same as a command line, for a test that starts it in its own way. */
  runCommand(command: readonly string[]): [string, ...string[]] {
    return [process.execPath, bin, ...this.runArguments(command)];
  }

  private runArguments(command: readonly string[], options: readonly string[] = []): string[] {
    const ports = ['--port', String(this.port), '--metrics-port', String(this.metricsPort)];
    const args = ['run', ...ports, '--data-dir', this.dataDir, ...options];
    return command.length === 0 ? args : [...args, '--', ...command];
  }

  /** Waits until a run has said that it serves. */
  async ready(child: Child): Promise<void> {
    await eventually('layotto run is ready', async () => {
      if (child.exitCode !== undefined) throw new Error(`it exited\n${child.tail()}`);
      return child.log.includes('ready in');
    });
  }

  /** Writes layotto.yaml as an editor does, another file renamed over it: on the lab's port, without metrics. */
  edit(components: readonly object[], more: object = {}): void {
    const listen = { port: this.port };
    const text = JSON.stringify({ listen, envoy: { metricsPort: 0 }, components, ...more });
    renameSync(this.file('.layotto.yaml.swp', text), join(this.folder, 'layotto.yaml'));
  }

  /** Writes a file into the lab's folder; returns its path. */
  file(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** Ids of the processes whose command line holds `part` and the lab's folder, such as its Envoy and its bridge. */
  processes(part = ''): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          return line.includes(this.folder) && line.includes(part);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  /** The one process of {@link processes}. */
  process(part: string): number {
    const [pid, ...others] = this.processes(part);
    if (pid === undefined || others.length > 0)
      throw new Error(`${others.length + 1} processes with ${part}, not 1`);
    return pid;
  }

  /** Waits until nothing that was started is left. */
  async nothingRuns(): Promise<void> {
    await eventually('nothing is left running', async () => this.processes().length === 0);
  }

  async close(): Promise<void> {
    for (const child of this.children) child.signal('SIGKILL');
    await Promise.all(this.children.map((child) => child.exited));
    for (const pid of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in the meantime.
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
