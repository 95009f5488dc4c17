/** The thread in which a function is tried before it is pushed, see `tryOut`. */
import { parentPort, workerData } from 'node:worker_threads';

import { HostEmulator } from './emulator/emulator.js';
import { answerAll } from './preflight-stubs.js';
import type { TrialOrder, TrialReport } from './preflight.js';

/**
 * How far the clock moves when the function reads it. The check in its loops does so each 8192 turns, so a method is ended
 * after 50 million turns, where Envoy ends it after 100 ms: the result does not depend on how busy the machine is.
 */
const NS_PER_READING = 16_384n;

const { wasm, configuration, call } = workerData as TrialOrder;

async function tried(): Promise<TrialReport> {
  let host: HostEmulator | undefined;
  let started: TrialReport = {};
  try {
    host = await HostEmulator.load(wasm);
    host.mostLogs = 1;
    host.nsPerReading = NS_PER_READING;
    const { ok, root } = host.start(open(configuration));
    if (!ok) return { problem: `it refuses its configuration${said(host)}` };
    if (!call) return {};
    started = { started: true };
    parentPort?.postMessage(started);
    const headers = { ':method': 'GET', ':path': '/', ':authority': 'localhost' };
    host.openStream(root).request(headers);
    answerAll(host);
    return {};
  } catch (error) {
    const reason = `${error instanceof Error ? error.message : String(error)}${said(host)}`;
    if (started.started !== true) return { problem: `it traps when it is started: ${reason}` };
    // Anything else is the emulator's fault, and no reason to refuse a function.
    const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    return trap ? { problem: reason, atCall: true } : {};
  }
}

/** The same configuration without anything that might refuse the call. */
function open(text: string): string {
  const all = JSON.parse(text) as Record<string, unknown>;
  delete all['policy'];
  return JSON.stringify({ ...all, tokens: [], hosts: [] });
}

/** What it wrote to the log last. */
function said(host: HostEmulator | undefined): string {
  const last = host?.logs.at(-1)?.message;
  return last === undefined ? '' : ` (it said: ${last.slice(0, 500)})`;
}

void tried().then((report) => parentPort?.postMessage({ ...report, done: true } satisfies TrialReport));
