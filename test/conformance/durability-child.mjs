/**
 * Writes to an embedded store as fast as it can and says, on standard output, what was acknowledged. It is killed
 * while it does. Arguments: the data folder, and a number that makes its keys its own.
 */
import { writeSync } from 'node:fs';
import { open } from '../../dist/components-bridge/src/components/embedded/state.js';

const [dataDir, round] = process.argv.slice(2);
const log = { warn: () => undefined };
const store = await open({ name: 'store', metadata: {}, dataDir, log, report: () => undefined });

/** Synchronous: what was written here reaches the parent even if the next instruction never runs. */
const acknowledged = (line) => writeSync(1, `${line}\n`);

async function saves(writer) {
  for (let count = 0; ; count++) {
    const key = `${round}-${writer}-${count}`;
    await store.set({ key, value: Buffer.from(key), firstWrite: false });
    acknowledged(key);
  }
}

async function transactions(writer) {
  for (let count = 0; ; count++) {
    const keys = ['a', 'b', 'c'].map((part) => `${round}-${writer}-${count}-${part}`);
    await store.transact(
      keys.map((key) => ({
        kind: 'upsert',
        key,
        value: Buffer.from(key),
        firstWrite: false,
        ttlSeconds: 1000,
      })),
    );
    for (const key of keys) acknowledged(key);
  }
}

await Promise.all([saves('s1'), saves('s2'), saves('s3'), transactions('t1'), transactions('t2')]);
