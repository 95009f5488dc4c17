import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { http1 } from '../support/http1.js';
import { OtlpCollector } from '../support/otlp-collector.js';
import { Runtime } from '../support/runtime.js';
import { startTelltaleRedis } from '../support/telltale-redis.js';
import { eventually } from '../support/wait.js';

const PASSWORD = 'Pl4nted "p@ss\\word';
const TOKEN = 'Pl4nted-token';

test('a password that a store repeats reaches no log, no metric, no trace and no caller', async () => {
  const [open, closed] = [await startTelltaleRedis(false), await startTelltaleRedis(true)];
  const collector = await OtlpCollector.start();
  const component = (name: string, port: number) => ({
    name,
    type: 'state.redis',
    metadata: { redisHost: `127.0.0.1:${port}`, redisUsername: 'user', redisPassword: PASSWORD },
  });
  const runtime = await Runtime.start({
    components: [component('answers', open.port), component('refuses', closed.port)],
    waitForComponents: false,
    tracing: { otlp: collector.endpoint, sampling: 1 },
    metrics: true,
    apiToken: TOKEN,
    bridgeArgs: ['--log-level', 'trace'],
  });
  try {
    const headers = { 'dapr-api-token': TOKEN };
    const said: string[] = [];
    const client = await runtime.connect();
    await eventually('both stores have said what they had to', async () => {
      const answers = await Promise.all(
        ['answers', 'refuses'].map((name) =>
          http1(runtime.target, 'GET', `/v1.0/state/${name}/k`, { headers }),
        ),
      );
      said.push(...answers.map(({ body }) => body));
      return answers[0]?.body.includes('may not') && answers[1]?.body.includes('no user with');
    });
    for (const name of ['answers', 'refuses']) {
      for (const door of [
        new GrpcStateDoor('Layotto gRPC', client, LAYOTTO, headers),
        new GrpcStateDoor('Dapr gRPC', client, DAPR, headers),
        new HttpStateDoor(runtime.target, headers),
      ]) {
        said.push(JSON.stringify(await door.get(name, 'k')));
        said.push(JSON.stringify(await door.save(name, [{ key: 'k', value: '1' }])));
        said.push(JSON.stringify(await door.delete(name, 'k')));
      }
      const body = JSON.stringify({ keys: ['a', 'b'] });
      const bulk = await http1(runtime.target, 'POST', `/v1.0/state/${name}/bulk`, { headers, body });
      said.push(bulk.body);
    }
    const bridgeAdmin = { socketPath: join(runtime.config.dataDir, 'bridge-admin.sock') };
    const metrics = { port: runtime.config.envoy.metricsPort };
    said.push((await http1(bridgeAdmin, 'GET', '/health')).body);
    said.push((await http1(metrics, 'GET', '/metrics/bridge')).body);
    said.push((await http1(metrics, 'GET', '/metrics')).body);
    said.push((await runtime.admin('/config_dump')).body);
    const metadata = await http1(runtime.target, 'GET', '/v1.0/metadata', { headers });
    said.push(metadata.body);
    await eventually('the spans are there', () =>
      collector.spans.some(({ name }) => name.startsWith('state.')),
    );
    await runtime.bridgeProcess.stop();

    // What they said did come through, so that there was something to be found.
    expect(said.join()).toContain('whoever logged in with user and [redacted] may not');
    expect(runtime.bridgeProcess.log).toContain('no user with user and [redacted]');
    const everywhere = [...said, runtime.bridgeProcess.log, runtime.envoy.log, collector.log].join('\n');
    for (const text of ['Pl4nted', TOKEN]) expect(everywhere).not.toContain(text);
    for (const line of runtime.bridgeProcess.log.trim().split('\n')) JSON.parse(line);
    // The one place that must have it.
    expect(await readFile(join(runtime.config.dataDir, 'config.json'), 'utf8')).toContain('Pl4nted');
  } finally {
    await runtime.stop();
    await collector.stop();
    await Promise.all([open.stop(), closed.stop()]);
  }
}, 60_000);
