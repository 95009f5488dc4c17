/** An HTTP app that writes down the number of each event before it answers. `node numbering-app.mjs PORT FILE TOPIC` */
import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';

const [port, file, topic] = process.argv.slice(2);
const list = openSync(file, 'a');

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (request.url === '/dapr/subscribe') {
    const metadata = { maxConcurrentMessages: '64' };
    response.end(JSON.stringify([{ pubsubname: 'pubsub', topic, route: '/numbers', metadata }]));
    return;
  }
  writeSync(list, `${JSON.parse(Buffer.concat(chunks).toString()).data}\n`);
  response.end();
}).listen(Number(port), '127.0.0.1');
