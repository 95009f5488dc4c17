/** The runtime's own operations as JSON: one POST each. GET /v1.0-layotto/openapi.json describes them all. */
import assert from 'node:assert/strict';

export async function json({ host, port }, step) {
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1.0-layotto`;
  const token = process.env.DAPR_API_TOKEN;
  const headers = { 'content-type': 'application/json', ...(token && { 'dapr-api-token': token }) };

  await step('say hello', async () => {
    const body = JSON.stringify({ serviceName: 'helloworld', name: 'Ada' });
    const answer = await fetch(`${base}/hello/SayHello`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    const { hello } = await answer.json();
    assert.match(hello, /, Ada$/);
    return hello;
  });
}
