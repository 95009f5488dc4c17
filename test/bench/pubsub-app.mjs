/**
 * An app that publishes events and gets them: by Dapr's HTTP API at the runtime, which delivers to this app's port.
 *
 * Started by fork; `node pubsub-app.mjs APP_PORT RUNTIME_PORT BROKERS`, the last with commas in between. It says
 * `ready` once every broker has delivered something, then answers each message `{broker, inflight, bytes, seconds}` with
 * `{calls, perSecond, p50, p99, max, again}`: events that came, the times from before they were published until then in
 * milliseconds, and how many came again.
 */
import { Agent, createServer, request } from 'node:http';

const [appPort, runtimePort, brokers] = process.argv.slice(2);
const topics = brokers.split(',').map((pubsubname) => ({ pubsubname, topic: 'bench', route: '/events' }));
const agent = new Agent({ keepAlive: true });

/** By number: who waits for an event. */
const waiting = new Map();
let count = 0;
let again = 0;

const server = createServer(async (incoming, answer) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  if (incoming.url === '/dapr/subscribe') {
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(topics));
    return;
  }
  answer.end();
  const { number } = JSON.parse(Buffer.concat(chunks)).data;
  if (!waiting.has(number)) again++;
  waiting.get(number)?.();
  waiting.delete(number);
});
await new Promise((resolve) => server.listen(Number(appPort), '127.0.0.1', resolve));

function publish(broker, data) {
  const options = { port: Number(runtimePort), host: '127.0.0.1', method: 'POST', agent };
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) };
  const path = `/v1.0/publish/${broker}/bench`;
  return new Promise((resolve, reject) => {
    const call = request({ ...options, path, headers }, (answer) => {
      answer.resume();
      answer.once('end', () =>
        answer.statusCode < 300
          ? resolve()
          : reject(new Error(`publishing was answered by ${answer.statusCode}`)),
      );
    });
    call.once('error', reject);
    call.end(data);
  });
}

/** @returns how long it took until it came */
async function one(broker, bytes) {
  const number = ++count;
  const data = JSON.stringify({ number, filler: 'x'.repeat(bytes) });
  const begun = performance.now();
  const delivered = new Promise((resolve) => waiting.set(number, resolve));
  await publish(broker, data);
  await delivered;
  return performance.now() - begun;
}

async function first(broker) {
  for (let tries = 0; tries < 200; tries++) {
    if (await one(broker, 1).catch(() => undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${broker} delivers nothing`);
}

process.once('disconnect', () => process.exit());
process.on('message', async ({ broker, inflight, bytes, seconds }) => {
  const times = [];
  again = 0;
  const started = performance.now();
  const loop = async () => {
    while (performance.now() - started < seconds * 1000) times.push(await one(broker, bytes));
  };
  await Promise.all(Array.from({ length: inflight }, loop));
  const elapsed = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const quantile = (q) => times[Math.floor(times.length * q)] ?? 0;
  const [p50, p99, max] = [quantile(0.5), quantile(0.99), times.at(-1) ?? 0];
  process.send({ calls: times.length, perSecond: times.length / elapsed, p50, p99, max, again });
});
for (const { pubsubname } of topics) await first(pubsubname);
process.send('ready');
