/** The app: plain HTTP, and no idea of encryption or retries. It says where it is after each thousand calls. */
import { request, Agent } from 'node:http';

const [port, calls] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true });
let next = 0;
let done = 0;
let failed = 0;

function call(order) {
  return new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', method: 'POST', path: '/orders', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () =>
        resolve(response.statusCode === 200 && text === JSON.stringify({ order, price: order * 3 })),
      );
      response.on('error', () => resolve(false));
    });
    asked.on('error', () => resolve(false));
    asked.end(JSON.stringify({ order }));
  });
}

async function worker() {
  while (next < calls) {
    if (!(await call(next++))) failed++;
    if (++done % 1000 === 0) console.log(`app ${process.pid}: ${done} calls, ${failed} failed`);
  }
}

await Promise.all(Array.from({ length: 16 }, worker));
agent.destroy();
