/**
 * Configuration in Apollo: read, saved, changed by others, and served while Apollo is away. It starts the runtime
 * itself, because it starts it twice: `make example NAME=configuration-apollo`, or `node main.mjs`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import layotto from 'layotto';

import { openApollo } from './apollo.mjs';
import { Runtime } from './runtime.mjs';

const { PORT: port = '34904', EXAMPLE_DIR: given } = process.env;
const folder = given ?? mkdtempSync(join(tmpdir(), 'layotto-example-'));
const STORE = 'configs';

const apollo = await openApollo();
const runtime = new Runtime({ folder, port, env: apollo.env });
const client = new layotto.Client(port, '127.0.0.1');
const step = (what, text) => console.log(`${`${what}:`.padEnd(24)}${text}`);

async function read(key) {
  const items = await client.configuration.get({ storeName: STORE, appId: 'shop', keys: [key] });
  return items.find((item) => item.key === key)?.content;
}

async function save(key, content) {
  await client.configuration.save({ storeName: STORE, appId: 'shop', items: [{ key, content }] });
}

/** Waits until a key has a content. @returns how long that took, in ms */
async function readUntil(key, wanted) {
  const started = performance.now();
  while ((await read(key)) !== wanted) {
    if (performance.now() - started > 10_000) throw new Error(`${key} is not ${wanted} within 10 s`);
    await sleep(20);
  }
  return Math.round(performance.now() - started);
}

try {
  step('Apollo', apollo.what);
  await runtime.start();

  await save('greeting', 'hello');
  step('saved and read', `greeting is ${await read('greeting')}`);

  const pushes = [];
  const subscription = client.configuration.subscribe({
    storeName: STORE,
    appId: 'shop',
    keys: ['greeting'],
    onData: (items) => pushes.push(...items),
    onClose: () => undefined,
  });
  await sleep(200);
  const changed = performance.now();
  await apollo.change('greeting', 'bonjour');
  while (!pushes.some(({ content }) => content === 'bonjour')) {
    if (performance.now() - changed > 10_000) throw new Error('no push within 10 s');
    await sleep(5);
  }
  step('changed in Apollo', `pushed to the app: greeting is ${pushes.at(-1).content}`);
  subscription.cancel();

  if (apollo.away === undefined) {
    step('Apollo goes away', 'left out: this Apollo is not ours to stop');
  } else {
    await runtime.stop();
    await apollo.away();
    await runtime.start();
    assert.equal(await read('greeting'), 'bonjour');
    step('restarted without it', `greeting is ${await read('greeting')}`);
    step('the runtime says', await runtime.reasonOf(STORE));
    await apollo.back();
    await apollo.change('greeting', 'ciao');
    const tookMs = await readUntil('greeting', 'ciao');
    assert.ok(tookMs < 2_000, `it took ${tookMs} ms`);
    step('Apollo is back', 'greeting is ciao, in less than 2 s');
  }
} catch (error) {
  console.error(runtime.log);
  throw error;
} finally {
  await runtime.stop();
  await apollo.close();
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
process.exit();
