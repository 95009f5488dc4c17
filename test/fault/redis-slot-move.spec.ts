import { Code } from '../../components-bridge/src/primitives/errors.js';
import { item, refused, StateClient } from '../conformance/state-client.js';
import { ClusterServers } from '../support/cluster-servers.js';
import type { ClusterNode } from '../support/cluster-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { NumberedWrites } from './numbered-writes.js';

const TAGS = ['red', 'green', 'blue'];

test('slots move to another node and back while they are written and read: no call fails, nothing is lost', async () => {
  const cluster = await ClusterServers.start();
  const state = await StateClient.open({ type: 'state.redis', metadata: cluster.metadata });
  const load = new NumberedWrites(
    state,
    (writer, count) => `{${TAGS[count % TAGS.length]}}${writer}-${count}`,
    [true, true, false, false],
  );
  let moving = true;
  const transactions = transact(state, () => moving);
  try {
    await eventually('some are written', () => load.acknowledged.length > 300);
    for (let round = 0; round < 4; round++) {
      for (const tag of TAGS) await move(cluster, tag);
    }
    moving = false;
    const { done, unfinished } = await transactions;
    await load.stop();

    expect(load.failed).toEqual([]);
    expect(load.misread).toEqual([]);
    expect(await load.lost()).toEqual([]);
    expect(load.reads).toBeGreaterThan(100);
    // Keys of one transaction may be here and there for as long as a move takes: then it is refused, and not half done.
    expect(done.length).toBeGreaterThan(0);
    for (const key of done) expect(await pair(state, key)).toEqual([key, key]);
    for (const key of unfinished) expect(await pair(state, key)).toEqual(['', '']);
  } finally {
    moving = false;
    await load.stop();
    await transactions;
    await state.close();
    await cluster.stop();
  }
}, 60_000);

/** Moves the slot of a hash tag to the next node, a few keys at a time. */
async function move(cluster: ClusterServers, tag: string): Promise<void> {
  const slot = await cluster.slotOf(`{${tag}}`);
  const from = await cluster.ownerOf(`{${tag}}`);
  const to = cluster.nodes[(cluster.nodes.indexOf(from) + 1) % cluster.nodes.length] as ClusterNode;
  await cluster.beginMove(slot, from, to);
  while ((await cluster.moveKeys(slot, from, to, 50)) > 0) await sleep(5);
  await cluster.endMove(slot, from, to);
}

/** Transactions of two keys, one after the other; the keys of those that were done, and of those that were not. */
async function transact(
  state: StateClient,
  go: () => boolean,
): Promise<{ done: string[]; unfinished: string[] }> {
  const outcome = { done: [] as string[], unfinished: [] as string[] };
  for (let count = 0; go(); count++) {
    const key = `{${TAGS[count % TAGS.length]}}pair-${count}`;
    const call = state.transact({ upsert: item(`${key}-a`, key) }, { upsert: item(`${key}-b`, key) });
    const ok = await call.then(
      () => true,
      () => false,
    );
    if (ok) {
      outcome.done.push(key);
    } else {
      const { code, message } = await refused(call);
      expect(code).toBe(Code.UNAVAILABLE);
      expect(message).toMatch(/^state store store is not ready: .*TRYAGAIN/);
      outcome.unfinished.push(key);
    }
    await sleep(2);
  }
  return outcome;
}

async function pair(state: StateClient, key: string): Promise<string[]> {
  const items = await state.bulk([`${key}-a`, `${key}-b`]);
  return items.map(({ data }) => Buffer.from(data).toString());
}
