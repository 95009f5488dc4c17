// The bridge half by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open } from './index.mjs';

const error = (code, message) => Object.assign(new Error(message), { code });

test('counts each key', async () => {
  const { methods } = await open({ metadata: {}, error });
  assert.deepEqual(await methods.Increment({ key: 'a' }), { count: 1 });
  assert.deepEqual(await methods.Increment({ key: 'a' }), { count: 2 });
  assert.deepEqual(await methods.Increment({ key: 'b' }), { count: 1 });
});

test('forgets what was before the window', async (t) => {
  let now = 1_000_000;
  t.mock.method(Date, 'now', () => now);
  const { methods } = await open({ metadata: { windowSeconds: '10' }, error });
  for (let i = 0; i < 4; i++) await methods.Increment({ key: 'a' });
  now += 15_000;
  // Half of the window before is left.
  assert.deepEqual(await methods.Increment({ key: 'a' }), { count: 3 });
  now += 30_000;
  assert.deepEqual(await methods.Increment({ key: 'a' }), { count: 1 });
});

test('refuses a window that is none', async () => {
  await assert.rejects(open({ metadata: { windowSeconds: 'x' }, error }), /windowSeconds: expected seconds/);
});
