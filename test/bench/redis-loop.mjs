/**
 * A bare loop of GETs with ioredis, in a process of its own: what the bridge's way to Redis costs in any case.
 *
 * Started by fork; `node redis-loop.mjs PORT KEY`. It says `ready`, then answers each message
 * `{inflight, seconds}` with `{calls, perSecond, p50, p99, max}`, times in milliseconds.
 */
import { Redis } from 'ioredis';

const [port, key] = process.argv.slice(2);
const redis = new Redis(Number(port), '127.0.0.1');
process.once('disconnect', () => process.exit());
process.on('message', async ({ inflight, seconds }) => {
  const times = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  const loop = async () => {
    for (let begun = started; begun < until;) {
      await redis.getBuffer(key);
      const ended = performance.now();
      times.push(ended - begun);
      begun = ended;
    }
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
await redis.set(key, 'x'.repeat(1024));
process.send('ready');
