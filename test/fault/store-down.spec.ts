import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO, type StateDoor } from '../support/doors.js';
import { EMBEDDED, redisComponent, Runtime } from '../support/runtime.js';
import { freePort } from '../support/ports.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

/** Long enough for a loaded machine, and far below the deadline of a call that hangs. */
const AT_ONCE_MS = 2000;

async function doorsOf(runtime: Runtime): Promise<StateDoor[]> {
  const client = await runtime.connect();
  return [
    new GrpcStateDoor('Layotto gRPC', client, LAYOTTO),
    new GrpcStateDoor('Dapr gRPC', client, DAPR),
    new HttpStateDoor(runtime.target),
  ];
}

/** A refusal at once, as each door says "unavailable", with the store's name. */
async function expectRefused(door: StateDoor): Promise<void> {
  const started = performance.now();
  const { code, message } = await door.get('redis', 'k');
  expect(performance.now() - started).toBeLessThan(AT_ONCE_MS);
  expect([14, 500, 503]).toContain(code);
  expect(message).toContain('redis');
}

test('a backend that is down hurts nobody else, and is served when it is there', async () => {
  const port = await freePort();
  const components = [{ ...EMBEDDED, name: 'embedded' }, redisComponent(port, { name: 'redis' })];
  const runtime = await Runtime.start({ components, waitForComponents: false });
  let server: Awaited<ReturnType<typeof startStore>> | undefined;
  try {
    const doors = await doorsOf(runtime);
    // Never there so far.
    for (const door of doors) {
      await eventually('the other store is served', async () => (await door.get('embedded', 'k')).code === 0);
      await expectRefused(door);
      expect(await door.save('embedded', [{ key: 'k', value: '1' }])).toMatchObject({ code: 0 });
    }
    server = await startStore('redis', [], port);
    for (const door of doors) {
      await eventually('Redis is served', async () => (await door.get('redis', 'k')).code === 0);
      expect(await door.save('redis', [{ key: 'k', value: '1' }])).toMatchObject({ code: 0 });
    }
    // Gone, and back.
    await server.stop();
    server = undefined;
    for (const door of doors) {
      await eventually('the loss is noticed', async () => (await door.get('redis', 'k')).code !== 0);
      await expectRefused(door);
      expect(await door.get('embedded', 'k')).toMatchObject({ code: 0, value: '1' });
    }
    server = await startStore('redis', [], port);
    for (const door of doors) {
      await eventually('Redis is served again', async () => (await door.get('redis', 'k')).code === 0);
    }
  } finally {
    await runtime.stop();
    await server?.stop();
  }
}, 60_000);
