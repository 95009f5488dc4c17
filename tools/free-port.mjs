import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 12_000;
/** Ports to choose from must be many, or two processes that look at the same time find the same. */
const ENOUGH = 4_000;
/** How many of them may be somebody's before it is given up. */
const TRIES = 100;

/** From here on the kernel gives ports to outgoing connections: one may take a port before its server does. */
const outgoing = firstOutgoing();
let next = LOWEST + Math.floor(Math.random() * Math.max(0, outgoing - LOWEST));

/**
 * TCP ports on 127.0.0.1 that were free a moment ago, each another one, where no outgoing connection takes them.
 *
 * @param {number} count
 * @returns {Promise<number[]>}
 */
export async function freePorts(count) {
  const servers = [];
  try {
    while (servers.length < count) servers.push(await listening());
    return servers.map((server) => server.address().port);
  } finally {
    for (const server of servers) server.close();
  }
}

/** One such port. */
export async function freePort() {
  const [port] = await freePorts(1);
  return port;
}

async function listening() {
  for (let tries = 0; outgoing - LOWEST >= ENOUGH && tries < TRIES; tries++) {
    if (++next >= outgoing) next = LOWEST;
    try {
      return await listen(next);
    } catch (error) {
      if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error;
    }
  }
  return listen(0);
}

function listen(port) {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function firstOutgoing() {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return 0;
  }
}
