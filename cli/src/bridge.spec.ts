import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child } from '../../test/support/child.js';
import { SessionClient } from '../../test/support/session-client.js';
import { eventually } from '../../test/support/wait.js';

const program = fileURLToPath(new URL('../bin/layotto.js', import.meta.url));

describe('layotto bridge', () => {
  let dir: string;
  const children: Child[] = [];

  beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'bridge-cli-'))));
  afterEach(async () => {
    for (const child of children.splice(0)) child.signal('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });

  function start(...args: string[]): Child {
    const child = new Child('layotto bridge', process.execPath, [program, 'bridge', ...args], { cwd: dir });
    children.push(child);
    return child;
  }

  it('serves sessions on its socket, in its own process, and ends cleanly on SIGTERM', async () => {
    const socket = join(dir, 'own.sock');
    const child = start('--app-id', 'orders', '--socket', socket, '--log-level', 'debug');
    await eventually('it listens', () => existsSync(socket));
    const client = SessionClient.open(socket);
    expect(await client.hello()).toMatchObject({ name: 'bridge' });
    expect(child.log).toContain('"app":"orders"');
    expect(child.log).toContain(`"pid":${child.pid}`);
    child.signal('SIGTERM');
    expect(await child.exited).toBe(0);
    expect(existsSync(socket)).toBe(false);
    client.close();
  });

  it('prints its options, and refuses what it does not know', async () => {
    const help = start('--help');
    expect(await help.exited).toBe(0);
    expect(help.log).toContain('--socket-gid N');
    const wrong = start('--sockets', 'x');
    expect(await wrong.exited).toBe(2);
    expect(wrong.log).toContain("Unknown option '--sockets'");
    const missing = start('--config', 'none.yaml');
    expect(await missing.exited).toBe(2);
    expect(missing.log).toContain('none.yaml: no such file or folder');
  });
});
