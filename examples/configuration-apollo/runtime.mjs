import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));

/** `layotto run`, started and stopped. */
export class Runtime {
  /** What it has written. */
  log = '';
  #child;
  #args;

  constructor({ folder, port, env }) {
    this.port = port;
    this.env = env;
    const dataDir = join(folder, 'data');
    const config = ['-c', join(here, 'layotto.yaml'), '--data-dir', dataDir];
    const ports = ['--port', port, '--metrics-port', String(Number(port) - 1)];
    this.#args = [join(here, '../../cli/bin/layotto.js'), 'run', ...config, ...ports];
  }

  /** Resolves when it serves. */
  async start() {
    const options = { env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] };
    const child = spawn(process.execPath, this.#args, options);
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (this.log += data));
    for (let tries = 0; tries < 600; tries++) {
      if (child.exitCode !== null) throw new Error('the runtime ended');
      const ready = await this.#get('healthz').then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
      await sleep(50);
    }
    throw new Error('the runtime is not ready within 30 s');
  }

  async stop() {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }

  /** What it says of a component, beside its status. */
  async reasonOf(name) {
    const status = spawn(process.execPath, [...this.#status(), '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of status.stdout) text += chunk;
    const found = JSON.parse(text).components?.find((component) => component.name === name);
    return `${found?.status}; ${found?.reason}`;
  }

  #status() {
    const dataDir = this.#args[this.#args.indexOf('--data-dir') + 1];
    return [this.#args[0], 'status', '--data-dir', dataDir];
  }

  #get(path) {
    return fetch(`http://127.0.0.1:${this.port}/v1.0/${path}`);
  }
}
