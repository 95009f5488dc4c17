/** The thread in which a function is started before it is pushed, see `tryStart`. */
import { parentPort, workerData } from 'node:worker_threads';

import { HostEmulator } from './emulator/emulator.js';
import type { TrialOrder, TrialReport } from './preflight.js';

const { wasm, configuration } = workerData as TrialOrder;

async function problemOf(): Promise<string | undefined> {
  let host: HostEmulator | undefined;
  try {
    host = await HostEmulator.load(wasm);
    const { ok } = host.start(configuration);
    return ok ? undefined : `it refuses its configuration${said(host)}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `it traps when it is started: ${reason}${said(host)}`;
  }
}

/** What it wrote to the log last. */
function said(host: HostEmulator | undefined): string {
  const last = host?.logs.at(-1)?.message;
  return last === undefined ? '' : ` (it said: ${last.slice(0, 500)})`;
}

void problemOf().then((problem) => {
  const report: TrialReport = problem === undefined ? {} : { problem };
  parentPort?.postMessage(report);
});
