/** Dapr's HTTP API, with curl: what any program that speaks HTTP can do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export async function daprHttp({ host, port, store, prefix, id, app }, step) {
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1.0`;
  const [apple, pear] = [`${prefix}apple`, `${prefix}pear`];
  const call = await caller(base);
  const send = (method, path, body, headers) => call(method, path, JSON.stringify(body), headers);

  await step('health', async () => {
    const { status } = await call('GET', '/healthz');
    assert.equal(status, 204);
    return 'healthy';
  });
  await step('metadata', async () => {
    const { components } = JSON.parse((await call('GET', '/metadata')).body);
    assert.ok(components.some(({ name }) => name === store));
    return `${components.length} components`;
  });
  await step('save two', async () => {
    const states = [
      { key: apple, value: { color: 'red' } },
      { key: pear, value: { color: 'green' } },
    ];
    const { status } = await send('POST', `/state/${store}`, states);
    assert.equal(status, 204);
    return 'saved';
  });
  await step('get', async () => {
    const { status, etag, body } = await call('GET', `/state/${store}/${apple}`);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), { color: 'red' });
    return `${body}, etag ${etag}`;
  });
  await step('get bulk', async () => {
    const { status, body } = await send('POST', `/state/${store}/bulk`, { keys: [apple, pear] });
    assert.equal(status, 200);
    const found = JSON.parse(body).sort((a, b) => a.key.localeCompare(b.key));
    assert.deepEqual(
      found.map(({ data }) => data.color),
      ['red', 'green'],
    );
    return found.map(({ data }) => data.color).join(', ');
  });
  await step('save by old etag', async () => {
    await send('POST', `/state/${store}`, [{ key: apple, value: 'crimson' }]);
    const { status } = await send('POST', `/state/${store}`, [{ key: apple, value: 'blue', etag: '1' }]);
    assert.equal(status, 409);
    assert.equal((await call('GET', `/state/${store}/${apple}`)).body, '"crimson"');
    return 'refused with 409, as it should be';
  });
  await step('transaction', async () => {
    const operations = [
      { operation: 'upsert', request: { key: apple, value: 'golden' } },
      { operation: 'delete', request: { key: pear } },
    ];
    const { status } = await send('POST', `/state/${store}/transaction`, { operations });
    assert.equal(status, 204);
    assert.equal((await call('GET', `/state/${store}/${apple}`)).body, '"golden"');
    assert.equal((await call('GET', `/state/${store}/${pear}`)).status, 204);
    return 'one changed, one deleted';
  });
  await step('delete', async () => {
    assert.equal((await call('DELETE', `/state/${store}/${apple}`)).status, 204);
    assert.equal((await call('GET', `/state/${store}/${apple}`)).status, 204);
    return 'gone';
  });
  await step('publish', async () => {
    const { status } = await send('POST', `/publish/events/${prefix}orders`, { number: 2 });
    assert.equal(status, 204);
    return 'on disk, for whoever subscribes';
  });
  if (app !== undefined) {
    await step('deliver', async () => {
      const delivered = app.order(`${prefix}2`);
      const { status } = await send('POST', '/publish/events/orders', { id: `${prefix}2` });
      assert.equal(status, 204);
      await delivered;
      return 'published, and the app has it';
    });
    await step('invoke', async () => {
      const { status, body } = await send('POST', `/invoke/${id}/method/colors`, { fruit: 'apple' });
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(body), { color: 'red' });
      return `the app says: ${JSON.parse(body).color}`;
    });
  }
  await step('configuration', async () => {
    const { status } = await call('GET', `/configuration/configstore?key=${prefix}none`);
    assert.equal(status, 204);
    return 'read, nothing there';
  });
  await step('get secrets', async () => {
    const { status, body } = await call('GET', '/secrets/secretstore/bulk');
    assert.equal(status, 200);
    const names = Object.keys(JSON.parse(body));
    return names.length === 0 ? 'none: no variable begins with SECRET_' : `there are: ${names.join(', ')}`;
  });
}

/** Calls with curl; on a machine without it says so and calls with Node's own fetch. */
async function caller(base) {
  const token = process.env.DAPR_API_TOKEN;
  const fixed = { 'content-type': 'application/json', ...(token && { 'dapr-api-token': token }) };
  try {
    await run('curl', ['--version']);
  } catch {
    console.error('curl is not installed; the Dapr HTTP door is called with fetch');
    return async (method, path, body, headers = {}) => {
      const answer = await fetch(`${base}${path}`, { method, body, headers: { ...fixed, ...headers } });
      return { status: answer.status, etag: answer.headers.get('etag') ?? '', body: await answer.text() };
    };
  }
  return async (method, path, body, headers = {}) => {
    const args = ['--silent', '--show-error', '--max-time', '20', '--request', method, `${base}${path}`];
    for (const [name, value] of Object.entries({ ...fixed, ...headers }))
      args.push('--header', `${name}: ${value}`);
    if (body !== undefined) args.push('--data-binary', body);
    // After the body, on a line of its own: what else of the answer matters here.
    args.push('--write-out', '\n%{http_code} %header{etag}');
    const { stdout } = await run('curl', args);
    const end = stdout.lastIndexOf('\n');
    const [status, etag = ''] = stdout.slice(end + 1).split(' ');
    return { status: Number(status), etag, body: stdout.slice(0, end) };
  };
}
