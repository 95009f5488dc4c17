import { execFileSync } from 'node:child_process';
import { chmod, lstat, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { Runtime } from '../support/runtime.js';

/** The user and group `nobody`, by number. */
const NOBODY = 65_534;

/**
 * Becomes another user and tries to connect; says `connected` or why not. Node is started before that, so that it may
 * be in a folder which that user cannot read.
 */
const CONNECT_AS = `
  const [path, id] = process.argv.slice(1);
  process.setgroups([]);
  process.setgid(Number(id));
  process.setuid(Number(id));
  const say = (text) => { console.log(text); process.exit(); };
  require('node:net').connect(path).on('connect', () => say('connected')).on('error', ({ code }) => say(code));
`;

describe('who may connect to the sockets', () => {
  let runtime: Runtime;
  let sockets: string[];

  beforeAll(async () => {
    runtime = await Runtime.start({ unixSocket: true });
    const { dataDir } = runtime.config;
    const names = await readdir(dataDir, { recursive: true });
    const found = await Promise.all(
      names.map(async (name) => ((await lstat(join(dataDir, name))).isSocket() ? [join(dataDir, name)] : [])),
    );
    sockets = found.flat();
    // Whoever may enter the folder is still to be refused by the sockets themselves.
    await chmod(dataDir, 0o755);
  });

  afterAll(() => runtime?.stop());

  test('all of them belong to the user that runs the runtime, and to nobody else', async () => {
    expect(sockets).toEqual(
      expect.arrayContaining(
        ['session.sock', 'envoy-admin.sock', 'runtime.sock'].map((name) =>
          join(runtime.config.dataDir, name),
        ),
      ),
    );
    for (const socket of sockets) {
      const { mode, uid } = await lstat(socket);
      expect([socket, (mode & 0o777).toString(8), uid]).toEqual([socket, '600', process.getuid?.()]);
    }
  });

  test('another user is refused', async () => {
    const status = await readFile('/proc/self/status', 'utf8');
    const capabilities = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
    // Only who may set user ids can become another user; for anybody else the modes above have to do.
    const maySetIds = process.getuid?.() === 0 && (capabilities & 0xc0n) === 0xc0n;
    expect(process.getuid?.()).not.toBe(NOBODY);
    if (!maySetIds) return;

    const open = join(runtime.config.dataDir, 'open.sock');
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(open, resolve));
    try {
      await chmod(open, 0o666);
      // Where it may connect, it can: what refuses it elsewhere is the mode.
      expect(connectAs(open)).toBe('connected');
      for (const socket of sockets) expect([socket, connectAs(socket)]).toEqual([socket, 'EACCES']);
    } finally {
      server.close();
    }
  });
});

function connectAs(socket: string): string {
  return execFileSync(process.execPath, ['-e', CONNECT_AS, socket, String(NOBODY)], {
    encoding: 'utf8',
  }).trim();
}
