/** Layotto's own API, through its client from npm. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';

import layotto from 'layotto';

const text = (state) => Buffer.from(state.value).toString('utf8');

export async function layottoGrpc({ host, port, store: storeName, prefix, id, app }, step) {
  const client = new layotto.Client(port, host);
  const [apple, pear] = [`${prefix}apple`, `${prefix}pear`];
  const fetch = (key) => client.state.get({ storeName, key });

  await step('save two', async () => {
    const states = [
      { key: apple, value: 'red' },
      { key: pear, value: 'green' },
    ];
    await client.state.save({ storeName, states });
    return 'saved';
  });
  await step('get', async () => {
    const state = await fetch(apple);
    assert.equal(text(state), 'red');
    return `${text(state)}, etag ${state.etag}`;
  });
  await step('get bulk', async () => {
    const states = await client.state.getBulk({ storeName, keys: [apple, pear] });
    const found = states.sort((a, b) => a.key.localeCompare(b.key)).map(text);
    assert.deepEqual(found, ['red', 'green']);
    return found.join(', ');
  });
  await step('save again', async () => {
    await client.state.save({ storeName, states: { key: pear, value: 'yellow' } });
    assert.equal(text(await fetch(pear)), 'yellow');
    return text(await fetch(pear));
  });
  await step('save by etag', async () => {
    const { etag } = await fetch(apple);
    await client.state.save({ storeName, states: { key: apple, value: 'crimson', etag } });
    const state = await fetch(apple);
    assert.equal(text(state), 'crimson');
    return `${text(state)}, etag ${state.etag}`;
  });
  await step('save by old etag', async () => {
    const old = client.state.save({ storeName, states: { key: apple, value: 'blue', etag: '1' } });
    const refusal = await old.then(
      () => assert.fail('an old etag was accepted'),
      (error) => error,
    );
    assert.equal(refusal.code, 10);
    assert.equal(text(await fetch(apple)), 'crimson');
    return 'refused with ABORTED, as it should be';
  });
  await step('transaction', async () => {
    const operations = [
      { operationType: 'upsert', request: { key: apple, value: 'golden' } },
      { operationType: 'delete', request: { key: pear } },
    ];
    await client.state.executeTransaction({ storeName, operations });
    assert.equal(text(await fetch(apple)), 'golden');
    assert.equal(await fetch(pear), null);
    return 'one changed, one deleted';
  });
  await step('delete', async () => {
    await client.state.delete({ storeName, key: apple });
    assert.equal(await fetch(apple), null);
    return 'gone';
  });
  await step('say hello', async () => {
    const hello = await client.hello.sayHello({ name: 'Ada' });
    assert.match(hello, /, Ada$/);
    return hello;
  });
  await step('invoke binding', async () => {
    const metadata = { fileName: `${prefix}note.txt` };
    const invoke = (operation, data = '') =>
      client.binding.invoke({ name: 'localstorage', operation, data, metadata });
    await invoke('create', 'buy apples');
    const { data } = await invoke('get');
    assert.equal(Buffer.from(data).toString('utf8'), 'buy apples');
    await invoke('delete');
    return 'a file written, read and deleted';
  });
  await step('put a file', async () => {
    const file = { storeName: 'file', name: `${prefix}notes/apples.txt` };
    await client.file.put({ ...file, stream: Readable.from([Buffer.from('red, '), Buffer.from('round')]) });
    const parts = [];
    for await (const part of await client.file.get(file)) parts.push(part);
    assert.equal(Buffer.concat(parts).toString('utf8'), 'red, round');
    await client.file.delete(file);
    return 'put, got and deleted, as streams';
  });
  await step('configuration', async () => {
    const at = { storeName: 'configstore', appId: 'quickstart' };
    const key = `${prefix}color`;
    const heard = [];
    const watch = client.configuration.subscribe({
      ...at,
      keys: [key],
      onData: (items) => heard.push(...items.map(({ content }) => content)),
      onClose: () => undefined,
    });
    // A subscription tells of changes from when it is there on; what it tells first is one of these.
    for (let n = 1; heard.length === 0; n++) {
      await client.configuration.save({ ...at, items: [{ key, content: `shade ${n}` }] });
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(n < 250, 'the subscription told nothing');
    }
    const [item] = await client.configuration.get({ ...at, keys: [key] });
    assert.match(item.content, /^shade \d+$/);
    watch.cancel();
    await client.configuration.delete({ ...at, keys: [key] });
    return 'saved, told to a subscriber, deleted';
  });
  await step('publish', async () => {
    await client.pubsub.publish({ pubsubName: 'events', topic: `${prefix}orders`, data: { number: 1 } });
    return 'on disk, for whoever subscribes';
  });
  if (app !== undefined) {
    await step('deliver', async () => {
      const data = { id: `${prefix}1` };
      const delivered = app.order(data.id);
      await client.pubsub.publish({ pubsubName: 'events', topic: 'orders', data });
      await delivered;
      return 'published, and the app has it';
    });
    await step('invoke', async () => {
      const { content } = await client.invoker.invoke({ id, method: '/colors', data: { fruit: 'pear' } });
      assert.deepEqual(content, { color: 'green' });
      return `the app says: ${content.color}`;
    });
  }
  await step('lock', async () => {
    const claim = { storeName: 'lockstore', resourceId: `${prefix}harvest` };
    const [one, two] = [client.lock.uuid(), client.lock.uuid()];
    assert.equal(await client.lock.tryLock({ ...claim, lockOwner: one, expire: 10 }), true);
    assert.equal(await client.lock.tryLock({ ...claim, lockOwner: two, expire: 10 }), false);
    assert.deepEqual(await client.lock.unLock({ ...claim, lockOwner: one }), { status: 0 });
    return 'taken, refused to another, given back';
  });
  await step('next ids', async () => {
    const next = () => client.sequencer.getNextId({ storeName: 'sequencer', key: `${prefix}basket` });
    const ids = [await next(), await next(), await next()];
    assert.deepEqual(ids, ['1', '2', '3']);
    return ids.join(', ');
  });
  client.close();
}
