import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';

import { expectFree } from './ports.js';

let server: Server;
let port: number;

beforeEach(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  server.close();
});

it('names a port that is taken, and says what to do', async () => {
  await expect(expectFree({ host: '127.0.0.1', port }, 'listen.port', 'use --port')).rejects.toThrow(
    `port ${port} on 127.0.0.1 is taken: use --port`,
  );
});

it('leaves a free port free', async () => {
  await new Promise((resolve) => server.close(resolve));
  await expectFree({ host: '127.0.0.1', port }, 'listen.port', '');
  await expectFree({ host: '127.0.0.1', port }, 'listen.port', '');
});

it('says when an address is not of this machine', async () => {
  await expect(expectFree({ host: '192.0.2.1', port: 34904 }, 'listen.proxy', '')).rejects.toThrow(
    /cannot listen on 192\.0\.2\.1 port 34904 \(EADDRNOTAVAIL\): check listen\.proxy/,
  );
});
