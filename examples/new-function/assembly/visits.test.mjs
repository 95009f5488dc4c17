// The function in a real Envoy, with a state store.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startFunctions } from 'layotto-envoy/testing';

const ID = 'visits';

let runtime;

before(async () => {
  runtime = await startFunctions(
    { [ID]: new URL('visits.ts', import.meta.url) },
    { components: [{ name: 'statestore', type: 'state.embedded' }] },
  );
});
after(() => runtime?.stop());

const visit = (name) => runtime.call(ID, '/', { method: 'POST', body: name });

test('counts visits of each name', async () => {
  assert.deepEqual(await visit('Ada'), { status: 200, text: 'Ada was here 1 times\n' });
  assert.deepEqual(await visit('Ada'), { status: 200, text: 'Ada was here 2 times\n' });
  assert.deepEqual(await visit('Bob'), { status: 200, text: 'Bob was here 1 times\n' });
  assert.deepEqual(await runtime.call(ID, '/?name=Ada'), { status: 200, text: 'Ada was here 2 times\n' });
});

test('asks for a name', async () => {
  assert.equal((await runtime.call(ID, '/')).status, 400);
});
