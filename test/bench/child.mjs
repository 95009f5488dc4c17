import { spawn } from 'node:child_process';
import { createConnection } from 'node:net';

/** What still runs when this process ends, goes with it. */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Ends a child process when this one ends, if it has not ended by then. */
export function endWithThis(child) {
  running.add(child);
  child.once('close', () => running.delete(child));
}

/** A program that was started, and how to end it. @typedef {{ name: string, pid: number, stop: () => Promise<unknown> }} Child */

/**
 * Starts a program that is meant to run until it is stopped; if it ends before, its output is shown and the run is
 * over.
 *
 * @param {string} name what the report calls it
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.Signals} [signal] ends it, SIGKILL by default
 * @param {NodeJS.ProcessEnv} [env] its environment, this process's by default
 * @returns {Child}
 */
export function start(name, command, args, signal = 'SIGKILL', env = process.env) {
  let output = '';
  let stopping = false;
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (chunk) => (output = (output + chunk).slice(-16_384));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.once('error', (error) => keep(error.message));
  const ended = new Promise((resolve) => child.once('close', resolve));
  void ended.then((code) => {
    if (stopping) return;
    console.error(`${name} ended with ${code}\n${output}`);
    process.exit(1);
  });
  endWithThis(child);
  return {
    name,
    pid: child.pid,
    stop: () => {
      stopping = true;
      child.kill(signal);
      return ended;
    },
  };
}

/**
 * Waits until something accepts connections there.
 *
 * @param {import('node:net').NetConnectOpts} target
 * @throws if nothing does within 30 s
 */
export async function accepts(target) {
  for (let tries = 0; tries < 600; tries++) {
    const open = await new Promise((resolve) => {
      const socket = createConnection(target);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens at ${JSON.stringify(target)}`);
}
