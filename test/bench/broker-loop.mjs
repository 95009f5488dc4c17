/**
 * A broker by itself, in a process of its own: what it costs to publish events and have them delivered, without Envoy,
 * app and sessions.
 *
 * Started by fork; `node broker-loop.mjs TYPE METADATA FOLDER`. It says `ready`, then answers each message
 * `{inflight, bytes, seconds}` with `{calls, perSecond, p50, p99, max}`: events that were delivered, and the times from
 * before they were published until then in milliseconds.
 */
import { catalog } from '../../dist/components-bridge/src/catalog.js';

const [type, metadata, dataDir] = process.argv.slice(2);
const nothing = () => undefined;
const { load } = catalog.find((entry) => entry.type === type);
const broker = await (
  await load()
).open({
  ...{ name: 'events', version: 'v1', appId: 'bench', metadata: JSON.parse(metadata), dataDir },
  ...{ log: { debug: nothing, info: nothing, warn: nothing }, report: nothing, invalidate: nothing },
});

let times = [];
/** By number: who waits for an event. */
const waiting = new Map();
await broker.subscribe({
  topic: 'bench',
  metadata: {},
  concurrency: 64,
  async receive({ data }) {
    const number = Buffer.from(data.buffer, data.byteOffset, data.byteLength).readDoubleLE();
    waiting.get(number)?.();
    waiting.delete(number);
    return 'ack';
  },
});

let count = 0;
async function one(bytes) {
  const data = Buffer.alloc(bytes);
  const number = ++count;
  data.writeDoubleLE(number);
  const begun = performance.now();
  const delivered = new Promise((resolve) => waiting.set(number, resolve));
  await broker.publish('bench', [{ data, contentType: 'application/cloudevents+json', metadata: {} }]);
  await delivered;
  times.push(performance.now() - begun);
}

process.once('disconnect', () => process.exit());
process.on('message', async ({ inflight, bytes, seconds }) => {
  times = [];
  const started = performance.now();
  const loop = async () => {
    while (performance.now() - started < seconds * 1000) await one(bytes);
  };
  await Promise.all(Array.from({ length: inflight }, loop));
  const elapsed = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const quantile = (q) => times[Math.floor(times.length * q)] ?? 0;
  process.send({
    calls: times.length,
    perSecond: times.length / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
    max: times.at(-1) ?? 0,
  });
});
process.send('ready');
