/** The runtime's own operations as JSON: one POST each. GET /v1.0-layotto/openapi.json describes them all. */
import assert from 'node:assert/strict';

export async function json({ host, port }, step) {
  const runtime = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const base = `${runtime}/v1.0-layotto`;
  const token = process.env.DAPR_API_TOKEN;
  const headers = { 'content-type': 'application/json', ...(token && { 'dapr-api-token': token }) };

  const call = async (operation, message) => {
    const answer = await fetch(`${base}/${operation}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(message),
    });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return JSON.parse(text);
  };
  const greeting = async () => {
    const { hello } = await call('hello/SayHello', { serviceName: 'helloworld', name: 'Ada' });
    assert.match(hello, /, Ada$/);
    return hello.slice(0, -', Ada'.length);
  };
  const apply = (metadata) => {
    const componentConfig = { kind: 'hellos', name: 'helloworld', metadata };
    return call('lifecycle/ApplyConfiguration', { componentConfig });
  };

  await step('say hello', async () => `${await greeting()}, Ada`);

  await step('publish later', async () => {
    const data = Buffer.from('hello').toString('base64');
    const { messageId, persisted } = await call('pubsub/PublishDelayMessage', {
      componentName: 'events',
      topic: 'reminders',
      data,
      delayInSeconds: 60,
    });
    assert.equal(persisted, true);
    return `in a minute, as ${messageId}`;
  });

  await step('apply settings', async () => {
    const before = await greeting();
    await apply({ hello: 'good day' });
    assert.equal(await greeting(), 'good day');
    await apply({ hello: before });
    assert.equal(await greeting(), before);
    return 'another greeting, and the first one again';
  });

  await step('readiness', async () => {
    const answer = await fetch(`${runtime}/actuator/health/readiness`);
    const { status, components } = await answer.json();
    assert.equal(answer.status, 200);
    return `${status}, with ${Object.keys(components).length} parts`;
  });
}
