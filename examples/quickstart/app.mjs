/** The app's own side: what it answers when it is invoked, and the events that are delivered to it. */
import { createServer } from 'node:http';

const COLORS = { apple: 'red', pear: 'green' };
const PATIENCE_MS = 20_000;

/** @param {number} port where the runtime reaches the app */
export async function startApp(port) {
  const arrived = new Map();
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString('utf8');
    if (request.url === '/colors') {
      const { fruit } = JSON.parse(text);
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ color: COLORS[fruit] }));
    }
    if (request.url !== '/orders') return response.writeHead(404).end();
    const { data } = JSON.parse(text);
    arrived.get(data.id)?.();
    arrived.set(data.id, undefined);
    response.end();
  });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });

  return {
    /** Resolves when the order of this id has been delivered. */
    order(id) {
      if (arrived.has(id)) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('the event was not delivered')), PATIENCE_MS);
        arrived.set(id, () => (clearTimeout(late), resolve()));
      });
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
