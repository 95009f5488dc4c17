import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Child } from '../support/child.js';
import { LAYOTTO } from '../support/doors.js';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { load } from '../support/load.js';
import { freePort } from '../support/ports.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';

let lab: CommandLab;
let run: Child;
const stores: StoreServer[] = [];

beforeEach(async () => {
  lab = await CommandLab.open();
});

afterEach(async () => {
  await lab.close();
  await Promise.all(stores.splice(0).map((store) => store.stop()));
});

const embedded = (name: string): object => ({ name, type: 'state.embedded' });
const redis = (name: string, port: number): object => ({
  name,
  type: 'state.redis',
  metadata: { redisHost: `127.0.0.1:${port}` },
});

const edit = (components: readonly object[], more?: object): void => lab.edit(components, more);

async function start(components: readonly object[]): Promise<void> {
  edit(components);
  run = lab.layotto(['run', '-c', 'layotto.yaml', '--data-dir', lab.dataDir]);
  await lab.ready(run);
}

/** Waits until the run has said this so many times. */
const says = (text: string, times = 1): Promise<boolean> =>
  eventually(`layotto run says: ${text}`, () => run.log.split(text).length > times, { timeoutMs: 30_000 });

const state = (store: string, key: string) => http1({ port: lab.port }, 'GET', `/v1.0/state/${store}/${key}`);

async function save(store: string, key: string, value: string): Promise<void> {
  const body = JSON.stringify([{ key, value }]);
  const { status } = await http1({ port: lab.port }, 'POST', `/v1.0/state/${store}`, { body });
  expect([store, key, status]).toEqual([store, key, 204]);
}

async function redisServer(port?: number): Promise<number> {
  const server = await startStore('redis', [], port);
  stores.push(server);
  return server.port;
}

test('components are added, changed and removed, and the bridge replaced, with no call that fails', async () => {
  const [first, second, third] = [await redisServer(), await redisServer(), await freePort()];
  await start([embedded('untouched'), redis('changed', first), embedded('gone')]);
  await save('changed', 'k', 'in the first');
  await save('gone', 'k', 'v');
  const bridge = lab.process('main.js');

  const loading = { target: { port: lab.port }, inflight: 4, connections: 2, pauseMs: 2, seconds: 22 };
  const loads = Promise.all([
    load({ ...loading, path: `${LAYOTTO}/SaveState`, body: saveStateBody('x', 'v', 'untouched') }),
    load({ ...loading, path: `${LAYOTTO}/SaveState`, body: saveStateBody('x', 'v', 'changed') }),
    load({ ...loading, path: `${LAYOTTO}/GetState`, body: getStateBody('x', 'changed') }),
  ]);
  await sleep(500);

  // All three at once.
  edit([embedded('added'), embedded('untouched'), redis('changed', second)]);
  await says('layotto: gone: removed');
  expect(run.log).toContain('layotto: added: added\n');
  expect(run.log).toContain('layotto: changed: the new settings are in use\n');
  await save('added', 'k', 'v');
  // The second server has nothing of what the first has.
  expect((await state('changed', 'k')).status).toBe(204);
  expect((await state('gone', 'k')).status).toBe(400);

  // What is wrong changes nothing, and is said as "layotto check" does.
  edit([{ name: 'added', type: 'state.reddis' }]);
  await says('layotto: the configuration is wrong; everything stays as it is');
  expect(run.log).toContain(
    'layotto: layotto.yaml:1: components[0].type: unknown component type "state.reddis"; did you mean "state.redis"?',
  );
  expect((await state('added', 'k')).body).toBe('"v"');

  // Settings that lead nowhere: the old ones serve until somebody answers there.
  edit([embedded('added'), embedded('untouched'), redis('changed', third)]);
  await says('layotto: changed: the old settings go on serving, the new ones are tried on: ');
  expect(run.log).toMatch(new RegExp(`are tried on: .*127\\.0\\.0\\.1:${third}`));
  await save('changed', 'where', 'the second');
  await redisServer(third);
  await says('layotto: changed: the new settings are in use now');
  expect((await state('changed', 'where')).status).toBe(204);

  // Another bridge.
  expect(lab.process('main.js')).toBe(bridge);
  run.signal('SIGHUP');
  await says('layotto: a new bridge has taken over');
  await eventually('the old one has gone', () => !lab.processes('main.js').includes(bridge));
  expect(lab.processes('main.js')).toHaveLength(1);
  await save('changed', 'k', 'v');

  for (const { calls, failed, statuses } of await loads) {
    expect(statuses).toEqual({ 0: calls });
    expect(failed).toBe(0);
    expect(calls).toBeGreaterThan(1_000);
  }
  const log = readFileSync(join(lab.dataDir, 'bridge.log'), 'utf8');
  expect(log).not.toContain('different configurations');
  expect(await run.stop()).toBe(0);
  await lab.nothingRuns();
});

test('what needs a restart is said and not applied, the rest of the edit is', async () => {
  await start([embedded('statestore')]);
  edit([embedded('statestore'), embedded('more')], {
    listen: { port: 1, hosts: ['shop.internal'] },
    limits: { operations: 2_000 },
  });
  await says('layotto: limits.operations: now 2000');
  const fixed = `layotto: listen.port: needs a restart to change from ${lab.port} to 1; it stays as it is\n`;
  expect(run.log).toContain(fixed);
  expect(run.log).toContain('layotto: listen.hosts: now ["shop.internal"]\n');
  await save('more', 'k', 'v');
  const named = await http1({ port: lab.port }, 'GET', '/v1.0/state/more/k', {
    headers: { host: 'shop.internal' },
  });
  expect(named.body).toBe('"v"');
  // A bridge that dies starts again with what was taken over. The one before it may still be on its way out.
  await eventually('one bridge is left', () => lab.processes('main.js').length === 1);
  process.kill(lab.process('main.js'), 'SIGKILL');
  await eventually('the new store is back', async () => (await state('more', 'k')).body === '"v"');
});

test('a folder of component files is watched as well', async () => {
  const component = (name: string): string =>
    `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: ${name}}\nspec: {type: state.in-memory, version: v1}\n`;
  lab.file('a.yaml', component('a'));
  run = lab.run([], { options: ['--resources-path', lab.folder] });
  await lab.ready(run);
  await save('a', 'k', 'v');
  lab.file('b.yaml', component('b'));
  await says('layotto: b: added');
  await save('b', 'k', 'v');
});
