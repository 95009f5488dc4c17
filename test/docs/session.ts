import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { eventually } from '../support/wait.js';
import type { Block } from './markdown.js';
import { root } from './markdown.js';

/** Where the documents say the runtime listens, and its metrics. */
const PORT = '34904';
const METRICS_PORT = '34903';
/** Where they have an app listen. */
const APP_PORT = '34905';
const DATA_DIR = '.layotto';

/** How long one block may take: the demo under load. */
const LIMIT_MS = 120_000;

export interface SessionOptions {
  /** A free port whose lower neighbour is free too, taken in place of those of the documents. */
  port: number;
  /** A free port taken in place of an app's. */
  appPort?: number;
  /** Folder taken in place of `.layotto`. */
  dataDir: string;
  /** Folder for the files that the document shows. */
  filesDir: string;
  /** The project's folder, where commands run. */
  projectDir?: string;
}

/**
 * Runs the blocks of one document, in order, as its reader would, in the project's folder. What a block starts
 * in the background (`start`) runs until another block starts a runtime, or the end.
 */
export class DocumentSession {
  #background: Running | undefined;
  readonly #scripts: string[] = [];
  /** What the document calls the files it shows (for a folder, its name), and where they are. */
  readonly #files = new Map<string, string>();

  constructor(private readonly options: SessionOptions) {}

  /** Keeps a block as a file of this name, for the commands that follow. */
  write(name: string, block: Block): void {
    const path = join(this.options.filesDir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, block.text);
    this.#file(name);
  }

  /** A file that is shown, or that a command writes. */
  #file(name: string): void {
    const top = name.split('/')[0] ?? name;
    mkdirSync(this.options.filesDir, { recursive: true });
    this.#files.set(top, join(this.options.filesDir, top));
  }

  /**
   * Runs a block to its end.
   *
   * @param exitCode it must end with this
   * @returns what it printed, with the document's own ports, folder and file names in place of those really used
   */
  async run(block: Block, exitCode = 0): Promise<string> {
    if (/\blayotto run\b|make demo/.test(block.text)) await this.stop();
    const running = this.#launch(block);
    const timer = setTimeout(() => running.kill(), LIMIT_MS);
    const code = await running.ended;
    clearTimeout(timer);
    if (code !== exitCode) throw new Error(`line ${block.line}: exit code ${code}\n${running.output}`);
    return this.#asWritten(running.output);
  }

  /** Starts a block that runs on, and waits until it has printed `expected`. */
  async start(block: Block, expected: string): Promise<void> {
    await this.stop();
    const running = this.#launch(block);
    this.#background = running;
    const goal = `line ${block.line} prints what the document says`;
    await eventually(
      goal,
      () => {
        const differs = difference(this.#asWritten(running.output), expected);
        if (differs !== undefined) throw new Error(differs);
        return true;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Waits until what runs in the background has said something. */
  says({ line, text }: Block): Promise<boolean> {
    const said = (): boolean => this.#background?.output.includes(text.trim()) === true;
    return eventually(`line ${line} is said`, said, { timeoutMs: 20_000 });
  }

  /** Ends what runs in the background. */
  async stop(): Promise<void> {
    const running = this.#background;
    this.#background = undefined;
    if (running === undefined) return;
    running.kill();
    await running.ended;
  }

  /** Ends what runs, and removes what was written. */
  async close(): Promise<void> {
    await this.stop();
    for (const file of this.#scripts.splice(0)) rmSync(file, { force: true });
  }

  #launch(block: Block): Running {
    const { port, dataDir, appPort } = this.options;
    const own = `npx layotto run --port ${port} --metrics-port ${port - 1} --data-dir ${dataDir}`;
    let text = block.text.replaceAll('npx layotto run', own).replaceAll(PORT, String(port));
    text = text.replaceAll('npx layotto bridge', `npx layotto bridge --data-dir ${dataDir}`);
    text = text.replaceAll(`${DATA_DIR}/`, `${dataDir}/`);
    if (appPort !== undefined) text = text.replaceAll(APP_PORT, String(appPort));
    text = text.replaceAll(
      /npx layotto (?:module|function) (?:push|list|rollback|remove)/g,
      `$& --data-dir ${dataDir}`,
    );
    for (const [, name = ''] of text.matchAll(/ > ([\w.-]+\.yaml)$/gm)) this.#file(name);
    for (const [name, path] of this.#files) text = text.replaceAll(` ${name}`, ` ${path}`);
    if (block.language === 'js')
      return new Running(process.execPath, [this.#script(text)], port, this.#project);
    return new Running('bash', ['-euo', 'pipefail', '-c', text], port, this.#project);
  }

  get #project(): string {
    return this.options.projectDir ?? root;
  }

  /** A file inside the project, so that its packages are found as in a project of the reader's own. */
  #script(text: string): string {
    const folder = join(this.#project, 'test/.results');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `block-${process.pid}-${this.#scripts.length}.mjs`);
    writeFileSync(file, text);
    this.#scripts.push(file);
    return file;
  }

  #asWritten(output: string): string {
    const { port, dataDir } = this.options;
    let text = output;
    for (const [name, path] of this.#files) text = text.replaceAll(path, name);
    return (
      text
        .replaceAll(/^npm (?:warn|notice).*\n/gm, '')
        // What make says only where something was missing or had changed.
        .replaceAll(/^(?:built|installing|installed|fetching|fetched) .*\n/gm, '')
        .replaceAll(dataDir, DATA_DIR)
        .replaceAll(String(port), PORT)
        .replaceAll(String(port - 1), METRICS_PORT)
    );
  }
}

class Running {
  readonly ended: Promise<number>;
  output = '';
  readonly #child: ChildProcess;

  constructor(command: string, args: readonly string[], port: number, cwd: string) {
    this.#child = spawn(command, args, {
      cwd,
      // The documents' commands must not depend on what the tests' own process was given.
      env: { ...process.env, NODE_OPTIONS: '', PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const keep = (chunk: Buffer): void => void (this.output += chunk.toString('utf8'));
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', () => resolve(127));
      this.#child.once('close', (code) => resolve(code ?? 128));
    });
  }

  /** SIGTERM to it and to all it started, as a terminal does on Ctrl-C. */
  kill(): void {
    const { pid, exitCode } = this.#child;
    if (pid !== undefined && exitCode === null) process.kill(-pid, 'SIGTERM');
  }
}

/**
 * Compares output with what a document says. Times, versions, numbers of components and operations, folders of a run
 * and column widths may differ; a line of `…` stands for any lines, and one that ends in `…` for any that begins like
 * it.
 *
 * @returns undefined if they agree, else what differs
 */
export function difference(output: string, expected: string): string | undefined {
  const got = linesOf(output);
  const pieces = linesOf(expected)
    .join('\n')
    .split(/^…$/m)
    .map((piece) => piece.split('\n').filter((line) => line !== ''));
  let at = 0;
  for (const [index, piece] of pieces.entries()) {
    const last = index === pieces.length - 1;
    const found = last && pieces.length > 1 ? got.length - piece.length : search(got, piece, at, index > 0);
    if (found < at || !matches(got, piece, found)) {
      return `expected, from line ${at + 1} of the output:\n${piece.join('\n')}\n\nthe output:\n${got.join('\n')}`;
    }
    at = found + piece.length;
  }
  return at === got.length ? undefined : `more than expected:\n${got.slice(at).join('\n')}`;
}

function search(lines: readonly string[], piece: readonly string[], from: number, anywhere: boolean): number {
  if (!anywhere) return from;
  for (let at = from; at + piece.length <= lines.length; at++) if (matches(lines, piece, at)) return at;
  return -1;
}

function matches(lines: readonly string[], piece: readonly string[], at: number): boolean {
  return piece.every((line, index) => {
    const got = lines[at + index];
    return line.endsWith('…') ? got?.startsWith(line.slice(0, -1)) === true : got === line;
  });
}

/** The lines that say something, with what varies from run to run replaced. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) =>
      line
        .replaceAll(/\d+(?:\.\d+)? (ms|s)\b/g, 'N $1')
        .replaceAll(/\d+ (components|operations)\b/g, 'N $1')
        .replaceAll(/Envoy \d+\.\d+\.\d+/g, 'Envoy V')
        // Of a log: when, and by which process.
        .replace(/^\{"level":(\d+),"time":\d+,"pid":\d+,/, '{"level":$1,"time":N,"pid":N,')
        .replaceAll(/\S*layotto-example-\w+/g, 'SCRATCH')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
}
