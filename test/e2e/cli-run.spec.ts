import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

let lab: CommandLab;

beforeEach(async () => {
  lab = await CommandLab.open();
});

afterEach(async () => {
  await lab.close();
});

const save = (key: string, value: unknown) =>
  http1({ port: lab.port }, 'POST', '/v1.0/state/statestore', { body: JSON.stringify([{ key, value }]) });
const read = (key: string) => http1({ port: lab.port }, 'GET', `/v1.0/state/statestore/${key}`);

/** A program that prints its environment's part of ours, calls the runtime, and exits with 7. */
const APP = `
  const { DAPR_HTTP_ENDPOINT: at, APP_ID, APP_PORT, runtime_GRPC_PORT } = process.env;
  const saved = await fetch(at + '/v1.0/state/statestore', { method: 'POST', body: '[{"key":"k","value":1}]' });
  const got = await fetch(at + '/v1.0/state/statestore/k');
  console.log([APP_ID, APP_PORT, runtime_GRPC_PORT, saved.status, await got.text()].join(' '));
  process.exit(7);
`;
const app = (program: string): string[] => [process.execPath, '--input-type=module', '-e', program];

/** A call whose body is only half sent; \`finish\` sends the rest and resolves with the answer's first line. */
async function halfCall(): Promise<{ finish: () => Promise<string> }> {
  const body = '[{"key":"half","value":"whole"}]';
  const socket = connect(lab.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.on('error', (error) => (answer += error.message));
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.write(
    `POST /v1.0/state/statestore HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.slice(0, 10));
  await eventually('the call has begun', async () => {
    const { body: stats } = await http1(
      { socketPath: join(lab.dataDir, 'envoy-admin.sock') },
      'GET',
      '/stats?filter=downstream_rq_active$',
    );
    return /^http\.(?!admin)\S+: 1$/m.test(stats);
  });
  const finish = async (): Promise<string> => {
    socket.write(body.slice(10));
    await closed;
    return answer.split('\r\n')[0] ?? '';
  };
  return { finish };
}

describe('layotto run', () => {
  it('runs the app with the runtime in its environment, and passes its exit code on', async () => {
    const run = lab.run(app(APP), { options: ['--app-id', 'shop', '--app-port', '3001'] });
    expect(await run.exited).toBe(7);
    expect(run.log).toContain(`shop 3001 ${lab.port} 204 1\n`);
    expect(run.log).toContain(`127.0.0.1:${lab.port}`);
    expect(run.log).toContain(`http://127.0.0.1:${lab.metricsPort}/metrics`);
    expect(run.log).toContain('statestore (state.embedded)');
    await lab.nothingRuns();
    expect(existsSync(join(lab.dataDir, 'run.lock'))).toBe(false);
  });

  it('says where else it listens', async () => {
    const ports = await Promise.all(Array.from({ length: 4 }, () => freePort()));
    const [inbound, proxy, functions, orders] = ports;
    const listen = { inbound, proxy };
    const outbound = [{ name: 'orders', listen: orders, to: 'orders.example:80' }];
    lab.edit([], { listen, functions: { listen: functions }, outbound });
    const run = lab.run(app('1'), { options: ['-c', 'layotto.yaml', '--app-port', '3001'] });
    expect(await run.exited).toBe(0);
    expect(run.log).toMatch(new RegExp(`^  others reach the app at +127\\.0\\.0\\.1:${inbound}$`, 'm'));
    expect(run.log).toMatch(new RegExp(`^  proxy for plain calls +127\\.0\\.0\\.1:${proxy}$`, 'm'));
    expect(run.log).toMatch(new RegExp(`^  functions +http://127\\.0\\.0\\.1:${functions}$`, 'm'));
    expect(run.log).toMatch(new RegExp(`^  outbound orders +127\\.0\\.0\\.1:${orders}$`, 'm'));
  });

  it('names a command that does not exist, and exits as a shell would', async () => {
    const run = lab.run(['no-such-program']);
    expect(await run.exited).toBe(127);
    expect(run.log).toContain('layotto: cannot start no-such-program: no such program');
    await lab.nothingRuns();
  });

  it('serves metrics', async () => {
    await lab.ready(lab.run());
    const { status, body } = await http1({ port: lab.metricsPort }, 'GET', '/metrics');
    expect(status).toBe(200);
    expect(body).toContain('envoy_server_uptime');
  });

  it('asks for DAPR_API_TOKEN where it is set', async () => {
    await lab.ready(lab.run([], { env: { DAPR_API_TOKEN: 'secret' } }));
    expect((await read('k')).status).toBe(401);
    const headers = { 'dapr-api-token': 'secret' };
    const answer = await http1({ port: lab.port }, 'GET', '/v1.0/state/statestore/k', { headers });
    expect(answer.status).toBe(204);
  });

  it('keeps what was saved for the next run', async () => {
    const first = lab.run();
    await lab.ready(first);
    expect((await save('kept', 'value')).status).toBe(204);
    expect(await first.stop()).toBe(0);
    await lab.ready(lab.run());
    expect((await read('kept')).body).toBe('"value"');
  });

  it('starts a killed bridge again, with all it had', async () => {
    const run = lab.run();
    await lab.ready(run);
    expect((await save('k', 'before')).status).toBe(204);
    process.kill(lab.process('main.js'), 'SIGKILL');
    await eventually('the bridge is back', async () => (await save('k2', 'after')).status === 204);
    // Envoy's workers dial again each for itself, so the next call may meet one that has not yet.
    await eventually('what was saved is there', async () => (await read('k')).body === '"before"');
    expect(run.log).toContain('layotto: the bridge ended (signal SIGKILL)');
    expect(run.exitCode).toBeUndefined();
  });

  it('ends the app and itself when Envoy dies, and says so', async () => {
    const run = lab.run(app('setInterval(() => 0, 1000)'));
    await lab.ready(run);
    process.kill(lab.process('bootstrap.json'), 'SIGKILL');
    expect(await run.exited).toBe(1);
    expect(run.log).toContain('layotto: Envoy ended (signal SIGKILL)');
    await lab.nothingRuns();
  });

  it('leaves no Envoy and no bridge behind when it is killed itself', async () => {
    const run = lab.run();
    await lab.ready(run);
    expect(lab.processes('bootstrap.json')).toHaveLength(1);
    run.signal('SIGKILL');
    await run.exited;
    await lab.nothingRuns();
    await lab.ready(lab.run());
  });
});

describe('Ctrl-C', () => {
  it('reaches the app, whose exit code counts', async () => {
    const run = lab.run(
      app(`process.on('SIGINT', () => process.exit(9)); console.log('app up'); setInterval(() => 0, 1000)`),
    );
    await eventually('the app is up', async () => run.log.includes('app up'));
    run.signal('SIGINT');
    expect(await run.exited).toBe(9);
    await lab.nothingRuns();
  });

  it('lets the app use the runtime until the app has ended', async () => {
    const program = `
      const at = process.env.DAPR_HTTP_ENDPOINT;
      process.on('SIGINT', async () => {
        const saved = await fetch(at + '/v1.0/state/statestore', { method: 'POST', body: '[{"key":"last","value":1}]' });
        process.exit(saved.status === 204 ? 0 : 1);
      });
      console.log('app up');
      setInterval(() => 0, 1000);
    `;
    const run = lab.run(app(program));
    await eventually('the app is up', async () => run.log.includes('app up'));
    run.signal('SIGINT');
    expect(await run.exited).toBe(0);
  });

  it('lets a call in flight finish', async () => {
    const run = lab.run();
    await lab.ready(run);
    const call = await halfCall();
    run.signal('SIGINT');
    await eventually('no new calls are taken', async () => {
      return read('x').then(
        () => false,
        () => true,
      );
    });
    expect(run.exitCode).toBeUndefined();
    expect(await call.finish()).toBe('HTTP/1.1 204 No Content');
    expect(await run.exited).toBe(0);
    await lab.nothingRuns();
  });

  it('the second time ends everything at once', async () => {
    const run = lab.run();
    await lab.ready(run);
    const call = await halfCall();
    run.signal('SIGINT');
    await eventually('no new calls are taken', async () => {
      return read('x').then(
        () => false,
        () => true,
      );
    });
    run.signal('SIGINT');
    expect(await run.exited).toBe(130);
    expect(await call.finish()).not.toContain('204');
    await lab.nothingRuns();
  });
});

describe('layotto run cannot start and leaves nothing running', () => {
  it.each(['port', 'metricsPort'] as const)('when its %s is taken, which it names', async (which) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(lab[which], '127.0.0.1', resolve));
    try {
      const run = lab.run(app(APP));
      expect(await run.exited).toBe(1);
      expect(run.log).toMatch(
        new RegExp(`^layotto: port ${lab[which]} on 127\\.0\\.0\\.1 is taken: choose another .*\\n$`),
      );
      await lab.nothingRuns();
    } finally {
      server.close();
    }
  });

  it.each<[string, (port: number) => object]>([
    ['listen.actuator', (actuator) => ({ listen: { actuator } })],
    ['listen.inbound', (inbound) => ({ listen: { inbound } })],
    ['listen.proxy', (proxy) => ({ listen: { proxy } })],
    ['functions.listen', (listen) => ({ functions: { listen } })],
    ['outbound[0].listen', (listen) => ({ outbound: [{ name: 'orders', listen, to: 'orders.example:80' }] })],
  ])('when the port of %s is taken, which it names', async (key, configured) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      lab.edit([], configured(port));
      const run = lab.run(app(APP), { options: ['-c', 'layotto.yaml', '--app-port', '3001'] });
      expect(await run.exited).toBe(1);
      expect(run.log).toBe(
        `layotto: port ${port} on 127.0.0.1 is taken: choose another in ${key}, or stop what listens there\n`,
      );
      await lab.nothingRuns();
    } finally {
      server.close();
    }
  });

  it('with a bad configuration, of which it names file, line and key', async () => {
    lab.file('layotto.yaml', 'app:\n  id: shop\nlisten:\n  port: high\n');
    const run = lab.run(app(APP), { options: ['-c', 'layotto.yaml'] });
    expect(await run.exited).toBe(1);
    expect(run.log).toMatch(/^layotto: layotto\.yaml:4: listen\.port: expected a port .*\n$/);
    await lab.nothingRuns();
  });

  it('without a usable Envoy', async () => {
    const run = lab.run(app(APP), { env: { ENVOY_BIN: '/no/such/envoy' } });
    expect(await run.exited).toBe(1);
    expect(run.log).toBe('layotto: ENVOY_BIN=/no/such/envoy is not an Envoy that can be run\n');
    await lab.nothingRuns();
  });

  it('when another run uses the data folder', async () => {
    await lab.ready(lab.run());
    const other = await CommandLab.open();
    try {
      const second = other.run([], { options: ['--data-dir', lab.dataDir] });
      expect(await second.exited).toBe(1);
      expect(second.log).toMatch(/^layotto: the data folder .* is in use by process \d+; .*\n$/);
    } finally {
      await other.close();
    }
    expect((await save('k', 'still served')).status).toBe(204);
  });
});
