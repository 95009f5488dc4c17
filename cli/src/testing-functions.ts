import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import type * as Builder from '../../tools/function.mjs';
import { packageFolder } from './installation.js';
import { freePort, TestProcess } from './testing-process.js';

const CALL_MS = 10_000;

/** What a call of a function got. */
export interface FunctionAnswer {
  status: number;
  text: string;
}

/** A runtime with functions. */
export class TestFunctions {
  constructor(
    /** The runtime's own address, such as `http://127.0.0.1:34904`. */
    readonly url: string,
    private readonly port: number,
    private readonly process_: TestProcess,
  ) {}

  /**
   * Calls a function.
   *
   * @param target path and query
   */
  async call(id: string, target = '/', init: RequestInit = {}): Promise<FunctionAnswer> {
    const headers = new Headers(init.headers);
    headers.set('id', id);
    const signal = AbortSignal.timeout(CALL_MS);
    const answer = await fetch(`http://127.0.0.1:${this.port}${target}`, { signal, ...init, headers });
    return { status: answer.status, text: await answer.text() };
  }

  stop(): Promise<void> {
    return this.process_.stop();
  }
}

/**
 * Starts a runtime, builds functions and pushes them.
 *
 * @param sources files by the id that they get
 * @param config what else is configured, as in layotto.yaml
 * @throws Error with what `layotto` said, if something does not work
 */
export async function startFunctions(
  sources: Readonly<Record<string, string | URL>>,
  config: Record<string, unknown> = {},
): Promise<TestFunctions> {
  // Loaded by path, because it stands outside of what is compiled.
  const { buildFunction } = (await import(
    pathToFileURL(join(packageFolder(), 'tools/function.mjs')).href
  )) as typeof Builder;
  const ids = Object.entries(sources);
  const port = await freePort();
  const started = await TestProcess.start({ ...config, functions: { listen: port, slots: ids.length } });
  try {
    for (const [id, source] of ids) {
      const module = join(started.folder, `${id}.wasm`);
      writeFileSync(module, await buildFunction(source instanceof URL ? fileURLToPath(source) : source));
      await started.layotto('function', 'push', module, '--id', id);
    }
    return new TestFunctions(`http://127.0.0.1:${started.port}`, port, started);
  } catch (error) {
    await started.stop();
    throw error;
  }
}
