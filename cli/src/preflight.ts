import { Worker } from 'node:worker_threads';

/** How long a function's start may take; it takes some milliseconds. */
const LIMIT_MS = 3_000;

/** What the trial says when it is over. */
export interface TrialReport {
  /** Why Envoy could not run it; absent: it could. */
  problem?: string;
}

/** What is tried. */
export interface TrialOrder {
  wasm: Uint8Array;
  configuration: string;
}

/**
 * Starts a function as Envoy would, in a thread of its own, before Envoy gets it: Envoy cannot interrupt a module, and
 * one whose start does not end would stop the thread that all other configuration comes by.
 *
 * @param configuration the plugin configuration that it will get
 * @returns why it must not be pushed; undefined if it starts
 */
export async function tryStart(wasm: Uint8Array, configuration: string): Promise<string | undefined> {
  const order: TrialOrder = { wasm, configuration };
  const worker = new Worker(new URL('./preflight-worker.js', import.meta.url), {
    workerData: order,
    // Nothing of this process is its business.
    env: {},
    stdout: true,
    stderr: true,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<string | undefined>((resolve) => {
      const seconds = LIMIT_MS / 1000;
      const late = `its start did not end within ${seconds} s, and Envoy cannot interrupt it: look for a loop without an end outside of its methods`;
      timer = setTimeout(() => resolve(late), LIMIT_MS);
      worker.on('message', ({ problem }: TrialReport) => resolve(problem));
      worker.on('error', (error) => resolve(`it cannot be tried: ${error.message}`));
      worker.on('exit', (code) => resolve(`it cannot be tried: its thread ended with ${code}`));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
