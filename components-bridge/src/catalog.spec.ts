import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');

/** Clients of backends, each in a folder of node_modules. */
const CLIENTS = ['ioredis', 'kafkajs', 'lmdb', '@nats-io'];

/** Which of them a process of its own has loaded, after it has loaded the catalog and one type of it. */
async function loadedWith(type: string): Promise<string[]> {
  const program = `
    import { createRequire } from 'node:module';
    import { catalog } from './components-bridge/src/catalog.ts';
    await catalog.find((entry) => entry.type === '${type}')?.load();
    const files = Object.keys(createRequire(process.cwd() + '/x.js').cache);
    const names = files.map((file) => file.split('/node_modules/').at(-1).split('/')[0]);
    console.log(JSON.stringify([...new Set(names)]));`;
  const flags = [
    '--no-warnings',
    '--import',
    './scripts/lib/typescript.mjs',
    '--input-type=module',
    '-e',
    program,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: root });
  const names = JSON.parse(stdout) as string[];
  return CLIENTS.filter((client) => names.includes(client));
}

it.each([
  ['of no type', []],
  ['secretstores.local.env', []],
  ['state.redis', ['ioredis']],
  ['pubsub.jetstream', ['@nats-io']],
  ['pubsub.kafka', ['kafkajs']],
])('with a component of type %s, of the backends only its own is loaded: %j', async (type, clients) => {
  expect(await loadedWith(type)).toEqual(clients);
});
