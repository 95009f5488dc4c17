import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client, credentials } from '@grpc/grpc-js';

import { askSocket } from '../../cli/src/socket-http.js';
import { callGrpc, callHttp } from '../../cli/src/testing.js';
import type { HttpAnswer } from '../../cli/src/testing.js';
import { readDescription } from '../../components-bridge/src/config/own-primitive.js';
import type { Description } from '../../components-bridge/src/config/own-primitive.js';
import type { Child } from './child.js';
import { CommandLab } from './layotto.js';

const STORE = '  - { name: statestore, type: state.embedded }';
const HEAD = 'limits: { deadline: 1500ms, message: 128KiB }\n';
const KEY = 'visits';

/** The example of a primitive of one's own. */
export const counterExample = fileURLToPath(new URL('../../examples/new-primitive', import.meta.url));

/** A runtime that serves, and the example's rate counter, built beside its configuration. */
export class CounterLab {
  readonly #client: Client;

  private constructor(
    readonly lab: CommandLab,
    readonly run: Child,
    readonly description: Description,
  ) {
    this.#client = new Client(`127.0.0.1:${lab.port}`, credentials.createInsecure());
  }

  static async open(): Promise<CounterLab> {
    const lab = await CommandLab.open();
    cpSync(join(counterExample, 'rate-counter'), join(lab.folder, 'rate-counter'), { recursive: true });
    const built = lab.layotto(['primitive', 'build', 'rate-counter']);
    if ((await built.exited) !== 0) throw new Error(built.log);
    configure(lab, []);
    const run = lab.run([], { options: ['-c', 'layotto.yaml'] });
    await lab.ready(run);
    return new CounterLab(lab, run, readDescription(join(lab.folder, 'rate-counter/bridge')));
  }

  /** Writes what the runtime watches. @param components lines of YAML's flow style, beside a state store */
  configure(components: readonly string[], more = ''): void {
    configure(this.lab, components, more);
  }

  async layotto(...args: string[]): Promise<{ code: number; log: string }> {
    const child = this.lab.layotto(args);
    return { code: await child.exited, log: child.log };
  }

  /** Pushes the filter half. */
  push(): Promise<{ code: number; log: string }> {
    const module = join(this.lab.folder, 'rate-counter/filter/gen/rate-counter.wasm');
    return this.layotto('module', 'push', module, '--name', 'slot-1', '--data-dir', this.lab.dataDir);
  }

  grpc(componentName: string, key = KEY): Promise<Record<string, unknown>> {
    return callGrpc(this.#client, this.description, 'Increment', { componentName, key });
  }

  json(componentName: string, key = KEY): Promise<HttpAnswer> {
    return this.call('POST', '/v1.0-layotto/rate-counter/Increment', { componentName, key });
  }

  http(componentName: string, key = KEY): Promise<HttpAnswer> {
    return this.call('POST', `/v1.0/rate-counter/${componentName}/${key}`);
  }

  call(method: string, path: string, body?: unknown): Promise<HttpAnswer> {
    return callHttp(this.lab.port, method, path, body);
  }

  async stateAnswers(): Promise<boolean> {
    return (await this.call('GET', '/v1.0/state/statestore/none')).status === 204;
  }

  /** The components that the filter knows, with their types. */
  async components(): Promise<Record<string, string>> {
    const { body } = await this.call('GET', '/v1.0/metadata');
    const { components } = body as { components: { name: string; type: string }[] };
    return Object.fromEntries(components.map(({ name, type }) => [name, type]));
  }

  /** What the bridge says on a page of its own. */
  async bridge(page: string): Promise<string> {
    return (await askSocket(join(this.lab.dataDir, 'bridge-admin.sock'), page))?.body ?? '';
  }

  /** Where the bridge says that a component stands. */
  async healthOf(name: string): Promise<{ status?: string; reason?: string }> {
    const { components } = JSON.parse(await this.bridge('/health')) as {
      components: { name: string; status: string; reason?: string }[];
    };
    return components.find((one) => one.name === name) ?? {};
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.lab.close();
  }
}

function configure(lab: CommandLab, components: readonly string[], more = ''): void {
  const lines = [STORE, ...components.map((component) => `  - ${component}`)];
  lab.file('layotto.yaml', `${HEAD}${more}components:\n${lines.join('\n')}\n`);
}
