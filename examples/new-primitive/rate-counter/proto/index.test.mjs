// What is read of the .proto file before anything of the primitive runs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('the description names the primitive, its service and what calls say of their component', () => {
  const file = new URL('../bridge/primitive.json', import.meta.url);
  const { primitive, service, operations } = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(primitive, 'rate-counter');
  assert.equal(service, 'rate_counter.v1.RateCounter');
  assert.deepEqual(operations, [{ name: 'Increment', component: 'component_name' }]);
});
