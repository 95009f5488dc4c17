import { Worker } from 'node:worker_threads';

/** How long a function's start may take, and its first call; each takes some milliseconds. */
const LIMIT_MS = 3_000;

const SECONDS = `${LIMIT_MS / 1000} s`;
const CALL = 'a first call, a GET of / with empty answers to whatever it asks for';
const ALL_THE_SAME = 'add --no-try to push it without that call';

/** What the trial says. */
export interface TrialReport {
  /** It is being called. */
  started?: boolean;
  /** Nothing more comes. */
  done?: boolean;
  /** Why Envoy could not run it; absent: it could. */
  problem?: string;
  /** The problem came with the call. */
  atCall?: boolean;
}

/** What is tried. */
export interface TrialOrder {
  wasm: Uint8Array;
  /** The plugin configuration that it will get. */
  configuration: string;
  /** Whether it is called, too. */
  call: boolean;
}

/**
 * Starts a function as Envoy would, and calls it, in a thread of its own, before Envoy gets it: Envoy cannot interrupt a
 * module, and one whose start does not end would stop the thread that all other configuration comes by. Only a trap and
 * a loop without an end count, not what it answers.
 *
 * @returns why it must not be pushed; undefined if nothing is against it
 */
export async function tryOut(order: TrialOrder): Promise<string | undefined> {
  const worker = new Worker(new URL('./preflight-worker.js', import.meta.url), {
    workerData: order,
    // Nothing of this process is its business.
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 256 },
    stdout: true,
    stderr: true,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<string | undefined>((resolve) => {
      const within = (late: string): void => {
        clearTimeout(timer);
        timer = setTimeout(() => resolve(late), LIMIT_MS);
      };
      within(
        `its start did not end within ${SECONDS}, and Envoy cannot interrupt it: look for a loop without an end outside of its methods`,
      );
      worker.on('message', ({ done, problem, atCall }: TrialReport) => {
        if (done !== true) within(`${CALL}, did not end within ${SECONDS}; ${ALL_THE_SAME}`);
        else resolve(atCall === true ? `it traps at ${CALL}: ${problem ?? ''}; ${ALL_THE_SAME}` : problem);
      });
      worker.on('error', (error) => resolve(`it cannot be tried: ${error.message}`));
      worker.on('exit', (code) => resolve(`it cannot be tried: its thread ended with ${code}`));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
