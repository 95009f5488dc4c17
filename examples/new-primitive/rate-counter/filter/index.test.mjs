// The filter half in a real Envoy, by every door.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startRuntime } from 'layotto-envoy/testing';

let runtime;
before(async () => (runtime = await startRuntime(new URL('..', import.meta.url))));
after(() => runtime?.stop());

test('three doors, one count', async () => {
  const request = { componentName: runtime.component, key: 'visits' };
  const { count } = await runtime.grpc('Increment', request);
  assert.equal(count, 1);
  const http = await runtime.http('POST', `/v1.0/rate-counter/${runtime.component}/visits`);
  assert.deepEqual(http, { status: 200, body: { count: 2 } });
  const json = await runtime.json('Increment', request);
  assert.deepEqual(json, { status: 200, body: { count: 3 } });
});

test('what is wrong is refused with its reason', async () => {
  await assert.rejects(runtime.grpc('Increment', { componentName: runtime.component, key: '' }), {
    code: 3,
    details: 'key is empty',
  });
  const { status, body } = await runtime.http('POST', '/v1.0/rate-counter/other/visits');
  assert.equal(status, 400);
  assert.equal(body.message, 'there is no rate-counter component of this name');
});
