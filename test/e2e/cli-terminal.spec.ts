import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

import { CommandLab } from '../support/layotto.js';
import { eventually } from '../support/wait.js';

/**
 * Runs a command in a terminal of its own, and types Ctrl-C there each time a line comes on standard input. Python has
 * what Node lacks for that.
 */
const TERMINAL = `
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
inputs = [terminal, 0]
while True:
    ready, _, _ = select.select(inputs, [], [])
    if 0 in ready:
        if os.read(0, 100):
            os.write(terminal, b'\\x03')
        else:
            inputs.remove(0)
    if terminal in ready:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

let lab: CommandLab;
beforeEach(async () => {
  lab = await CommandLab.open();
});
afterEach(async () => {
  await lab.close();
});

it('Ctrl-C in a terminal reaches the app once, and Envoy and the bridge only after it', async () => {
  const app = `
    let times = 0;
    process.on('SIGINT', async () => {
      times += 1;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { status } = await fetch(process.env.DAPR_HTTP_ENDPOINT + '/v1.0/state/statestore/k');
      console.log('interrupted ' + times + ', then ' + status);
      process.exit(4);
    });
    console.log('app up');
    setInterval(() => 0, 1000);
  `;
  const command = lab.runCommand([process.execPath, '--input-type=module', '-e', app]);
  const terminal = spawn('python3', ['-c', TERMINAL, ...command], {
    cwd: lab.folder,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => terminal.once('exit', resolve));
  let shown = '';
  terminal.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  await eventually('the app is up', async () => shown.includes('app up'));
  terminal.stdin.write('\n');
  expect(await ended).toBe(4);
  expect(shown).toContain('interrupted 1, then 204');
  await lab.nothingRuns();
});

/** Runs a command in a terminal of its own and closes the terminal when it says that it is ready. */
const CLOSING = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b''
while b'ready in' not in shown:
    shown += os.read(terminal, 4096)
os.kill(pid, 1)
while b'has taken over' not in shown:
    shown += os.read(terminal, 4096)
os.close(terminal)
sys.exit(os.WTERMSIG(os.waitpid(pid, 0)[1]))
`;

it('SIGHUP replaces the bridge while the terminal is there, and ends everything when it is gone', async () => {
  const command = lab.runCommand([]);
  const terminal = spawn('python3', ['-c', CLOSING, ...command], { cwd: lab.folder, stdio: 'inherit' });
  const ended = new Promise((resolve) => terminal.once('exit', resolve));
  expect(await ended).toBe(constants.signals.SIGHUP);
  await lab.nothingRuns();
  expect(existsSync(join(lab.dataDir, 'run.lock'))).toBe(false);
});
