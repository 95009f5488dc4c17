/**
 * Publishes numbered events to an embedded broker as fast as it can, and takes them, some slowly. On standard output it
 * says which were acknowledged to the publisher (`p`), which were given to the subscriber, and for the how-manieth time
 * (`d`), and which the subscriber was done with (`a`). It is killed while it does. Arguments: the data folder, and a
 * number that makes its events its own.
 */
import { writeSync } from 'node:fs';
import { open } from '../../dist/components-bridge/src/components/embedded/pubsub.js';

const [dataDir, round] = process.argv.slice(2);
const log = { warn: () => undefined };
const broker = await open({
  name: 'events',
  appId: 'app',
  metadata: { redeliverInterval: '50ms' },
  dataDir,
  log,
});

/** Synchronous: what was written here reaches the parent even if the next instruction never runs. */
const say = (line) => writeSync(1, `${line}\n`);

await broker.subscribe({
  topic: 'orders',
  metadata: {},
  concurrency: 8,
  async receive({ data, attempt }) {
    const name = Buffer.from(data).toString();
    say(`d ${name} ${attempt}`);
    const last = Number(name.split('-').at(-1)) % 10;
    if (last === 3) await new Promise((resolve) => setTimeout(resolve, 30));
    if (last === 7 && attempt === 1) return 'retry';
    say(`a ${name}`);
    return 'ack';
  },
});

async function publish(writer) {
  for (let count = 0; ; count++) {
    const names = count % 5 === 0 ? ['x', 'y', 'z'].map((part) => `${part}-${count}`) : [`${count}`];
    const all = names.map((name) => `${round}-${writer}-${name}`);
    await broker.publish(
      'orders',
      all.map((name) => ({ data: Buffer.from(name), contentType: 'text/plain', metadata: {} })),
    );
    for (const name of all) say(`p ${name}`);
  }
}

await Promise.all([publish('a'), publish('b'), publish('c')]);
