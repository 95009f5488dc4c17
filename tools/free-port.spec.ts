import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { freePort, freePorts } from './free-port.mjs';

const [outgoing = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number);

test('ports are free, each another one, and none that an outgoing connection may take', async () => {
  const ports = [...(await freePorts(20)), await freePort()];
  expect(new Set(ports).size).toBe(21);
  for (const port of ports) {
    expect(port).toBeLessThan(outgoing);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    server.close();
  }
});

test('one that is taken is passed over', async () => {
  const port = (await freePort()) + 1;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  expect(await freePort()).not.toBe(port);
  server.close();
});
