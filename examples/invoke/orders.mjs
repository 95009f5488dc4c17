/** The app that is called: it answers after a moment, and says which instance it is. */
import { createServer } from 'node:http';

const { APP_PORT: port, INSTANCE: instance = '1' } = process.env;

createServer((request, response) => {
  setTimeout(() => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ instance, pid: process.pid, call: `${request.method} ${request.url}` }));
  }, 20);
}).listen(Number(port), '127.0.0.1');
