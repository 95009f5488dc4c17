import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { http1 } from '../../../test/support/http1.js';
import { eventually } from '../../../test/support/wait.js';
import { AdminServer } from './admin.js';
import type { AdminOptions } from './admin.js';

describe('AdminServer', () => {
  let dir: string;
  let socketPath: string;
  let logged: { level: number; msg: string; reason?: string }[];
  const servers: AdminServer[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'admin-'));
    socketPath = join(dir, 'admin.sock');
    logged = [];
  });

  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await rm(dir, { recursive: true, force: true });
  });

  function server(more: Partial<AdminOptions> = {}): AdminServer {
    let asked = 0;
    const made = new AdminServer({
      at: { socketPath },
      pages: new Map([['/page', () => ({ contentType: 'text/x', body: `asked ${++asked}: é` })]]),
      log: pino({}, { write: (line) => void logged.push(JSON.parse(line) as never) }),
      ...more,
    });
    servers.push(made);
    return made;
  }

  const ask = (method: string, path: string) => http1({ socketPath }, method, path);

  it('serves its pages, made anew each time, and nothing else', async () => {
    await server().start();
    expect(await ask('GET', '/page')).toMatchObject({ status: 200, body: 'asked 1: é' });
    expect(await ask('GET', '/page?with=query')).toMatchObject({ status: 200, body: 'asked 2: é' });
    expect(await ask('GET', '/')).toMatchObject({ status: 404, body: 'there is /page\n' });
    expect((await ask('POST', '/page')).status).toBe(405);
  });

  it.each([
    ['its owner only', undefined, 0o600],
    ['its group too', process.getgid?.(), 0o660],
  ])('lets in %s', async (_, gid, mode) => {
    await server({ gid }).start();
    expect((await stat(socketPath)).mode & 0o777).toBe(mode);
  });

  it('waits for a socket that another one still has, and says so once', async () => {
    const first = server();
    await first.start();
    const second = server();
    await second.start();
    await eventually('it has said so', () => logged.length === 1);
    expect(logged[0]).toMatchObject({ level: 40, msg: 'metrics and health are not served yet' });
    await ask('GET', '/page');
    await first.close();
    await eventually('the second serves', async () => (await ask('GET', '/page')).body === 'asked 1: é');
    expect(logged).toHaveLength(1);
  });

  it('gives up waiting when it is closed', async () => {
    await server().start();
    const second = server();
    await second.start();
    await second.close();
    await servers[0]?.close();
    await expect(stat(socketPath)).rejects.toThrow('ENOENT');
  });
});
