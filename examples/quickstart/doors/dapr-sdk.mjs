/** Dapr's client from npm; the same code over HTTP and over gRPC. */
import assert from 'node:assert/strict';

import { CommunicationProtocolEnum, DaprClient, HttpMethod } from '@dapr/dapr';

// The client would also log the refusal that is provoked below.
const nothing = () => undefined;
const quiet = { error: nothing, warn: nothing, info: nothing, verbose: nothing, debug: nothing };

export async function daprSdk(
  { host: daprHost, port: daprPort, store, prefix, id, app },
  communicationProtocol,
  step,
) {
  const client = new DaprClient({ daprHost, daprPort, communicationProtocol, logger: { service: quiet } });
  const [apple, pear] = [`${prefix}apple`, `${prefix}pear`];
  const colors = (found) => found.sort((a, b) => a.key.localeCompare(b.key)).map(({ data }) => data.color);

  await step('metadata', async () => {
    const { id, components } = await client.metadata.get();
    assert.ok(components.some(({ name }) => name === store));
    return `app ${id}, ${components.length} components`;
  });
  await step('set metadata', async () => {
    assert.equal(await client.metadata.set('fruit', 'apple'), true);
    assert.equal((await client.metadata.get()).extended.fruit, 'apple');
    return 'fruit: apple';
  });
  await step('save two', async () => {
    const states = [
      { key: apple, value: { color: 'red' } },
      { key: pear, value: { color: 'green' } },
    ];
    const { error } = await client.state.save(store, states);
    assert.equal(error, undefined);
    return 'saved';
  });
  await step('get', async () => {
    const value = await client.state.get(store, apple);
    assert.deepEqual(value, { color: 'red' });
    return JSON.stringify(value);
  });
  await step('get bulk', async () => {
    const found = await client.state.getBulk(store, [apple, pear]);
    assert.deepEqual(colors(found), ['red', 'green']);
    return colors(found).join(', ');
  });
  await step('save by old etag', async () => {
    await client.state.save(store, [{ key: apple, value: { color: 'crimson' } }]);
    const stale = [{ key: apple, value: { color: 'blue' }, etag: '1' }];
    // Over HTTP the client returns the refusal, over gRPC it throws it.
    const { error } = await client.state.save(store, stale).catch((thrown) => ({ error: thrown }));
    assert.match(String(error), /etag mismatch/);
    assert.deepEqual(await client.state.get(store, apple), { color: 'crimson' });
    return 'refused, as it should be';
  });
  await step('transaction', async () => {
    await client.state.transaction(store, [
      { operation: 'upsert', request: { key: apple, value: 'golden' } },
      { operation: 'delete', request: { key: pear } },
    ]);
    assert.equal(await client.state.get(store, apple), 'golden');
    assert.equal(await client.state.get(store, pear), '');
    return 'one changed, one deleted';
  });
  await step('delete', async () => {
    const { error } = await client.state.delete(store, apple);
    assert.equal(error, undefined);
    assert.equal(await client.state.get(store, apple), '');
    return 'gone';
  });
  await step('publish', async () => {
    const { error } = await client.pubsub.publish('events', `${prefix}orders`, { number: 3 });
    if (error) throw error;
    return 'on disk, for whoever subscribes';
  });
  if (app !== undefined) {
    await step('deliver', async () => {
      const data = { id: `${prefix}${communicationProtocol}` };
      const delivered = app.order(data.id);
      const { error } = await client.pubsub.publish('events', 'orders', data);
      if (error) throw error;
      await delivered;
      return 'published, and the app has it';
    });
    await step('invoke', async () => {
      const { color } = await client.invoker.invoke(id, 'colors', HttpMethod.POST, { fruit: 'apple' });
      assert.equal(color, 'red');
      return `the app says: ${color}`;
    });
  }
  await step('invoke binding', async () => {
    const metadata = { fileName: `${prefix}note.txt` };
    await client.binding.send('localstorage', 'create', 'buy apples', metadata);
    const found = await client.binding.send('localstorage', 'get', '', metadata);
    // Over HTTP the client gives the data, over gRPC the answer with the data in it.
    const text = typeof found === 'string' ? found : Buffer.from(found.data).toString('utf8');
    assert.equal(text, 'buy apples');
    await client.binding.send('localstorage', 'delete', '', metadata);
    return 'a file written, read and deleted';
  });
  await step('lock', async () => {
    const resource = `${prefix}harvest`;
    assert.equal((await client.lock.lock('lockstore', resource, 'one', 10)).success, true);
    assert.equal((await client.lock.lock('lockstore', resource, 'two', 10)).success, false);
    assert.equal((await client.lock.unlock('lockstore', resource, 'one')).status, 0);
    return 'taken, refused to another, given back';
  });
  if (communicationProtocol === CommunicationProtocolEnum.HTTP) await client.stop();
}
