import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO, type StateDoor } from '../support/doors.js';
import { EMBEDDED, redisComponent, Runtime } from '../support/runtime.js';
import { freePort } from '../support/ports.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

/** What a refusal may take; of several tries one has to, because the machine may be busy with something else. */
const AT_ONCE_MS = 100;
const TRIES = 5;

async function doorsOf(runtime: Runtime): Promise<StateDoor[]> {
  const client = await runtime.connect();
  return [
    new GrpcStateDoor('Layotto gRPC', client, LAYOTTO),
    new GrpcStateDoor('Dapr gRPC', client, DAPR),
    new HttpStateDoor(runtime.target),
  ];
}

/** A refusal at once, as each door says "unavailable", with the store's name and the reason. */
async function expectRefused(door: StateDoor, port: number): Promise<void> {
  let fastest = Infinity;
  for (let time = 0; time < TRIES; time++) {
    const started = performance.now();
    const { code, message } = await door.get('redis', 'k');
    fastest = Math.min(fastest, performance.now() - started);
    expect([14, 503]).toContain(code);
    expect(message).toMatch(new RegExp(`redis is not ready: 127\\.0\\.0\\.1:${port}: .+`));
  }
  expect(fastest).toBeLessThan(AT_ONCE_MS);
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
      await expectRefused(door, port);
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
      await expectRefused(door, port);
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
