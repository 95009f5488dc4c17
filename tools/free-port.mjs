import { createServer } from 'node:net';

/**
 * TCP ports on 127.0.0.1 that were free a moment ago, each another one.
 *
 * The kernel hands ephemeral ports out in turn, so two calls close together do not get the same ones.
 *
 * @param {number} count
 * @returns {Promise<number[]>}
 */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(servers.map(listening));
  } finally {
    for (const server of servers) server.close();
  }
}

/** One such port. */
export async function freePort() {
  const [port] = await freePorts(1);
  return port;
}

function listening(server) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}
