import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { pythonWith } from '../../tools/python.mjs';
import { Child } from '../support/child.js';
import { http1 } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { EMBEDDED, Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const PACKAGES = [
  ...['dapr==1.18.3', 'dapr-ext-grpc==1.18.3', 'dapr-ext-fastapi==1.18.3', 'cloudevents==1.13.0'],
  ...['grpcio==1.85.3', 'grpcio-status==1.85.3', 'protobuf==7.36.2', 'aiohttp==3.14.5'],
  ...['fastapi==0.165.0', 'starlette==1.10.0', 'pydantic==2.14.4', 'uvicorn==0.54.0'],
];
const SCRIPTS = join(import.meta.dirname, 'python');
const PUBSUB = { name: 'pubsub', type: 'pubsub.embedded', metadata: { redeliverInterval: '100ms' } };

const run = promisify(execFile);
let python: string;

beforeAll(async () => {
  python = await pythonWith(PACKAGES);
}, 180_000);

/** The packages of PyPI, unmodified. */
test.each([
  ['fastapi_app.py', 'http', 'http', []],
  ['grpc_app.py', 'grpc', 'grpc', ['urgent "urgent"']],
] as const)(
  "Dapr's client for Python, with %s",
  async (script, appProtocol, invocation, routed) => {
    const appPort = await freePort();
    const app = new Child(script, python, [join(SCRIPTS, script)], { env: { APP_PORT: String(appPort) } });
    const callees = { pay: { to: [{ host: '127.0.0.1', port: appPort }], protocol: appProtocol } };
    const runtime = await Runtime.start({ appPort, appProtocol, callees, components: [PUBSUB, EMBEDDED] });
    try {
      await eventually('it is subscribed', () => {
        if (app.exitCode !== undefined) throw new Error(app.tail());
        return runtime.bridgeProcess.log.includes('"topic":"dead","msg":"subscribed"');
      });
      const port = String(runtime.port);
      const { stdout } = await run(python, [join(SCRIPTS, 'client.py')], {
        env: {
          ...process.env,
          ...{ DAPR_HTTP_PORT: port, DAPR_GRPC_PORT: port },
          DAPR_API_METHOD_INVOCATION_PROTOCOL: invocation,
        },
      });
      expect(JSON.parse(stdout)).toEqual({
        streamed: { n: 1 },
        failed: 0,
        nowhere: ['INVALID_ARGUMENT', 'pubsub nowhere is not found'],
        stale: 'ABORTED',
        state: { a: 'two', b: '', c: 'y', d: 'z' },
        deleted: '',
        invoked: ['"a call heard"', 'application/json'],
      });
      // As the client has it by default, whatever the app speaks.
      const invoke = (method: string) =>
        http1(runtime.target, 'POST', `/v1.0/invoke/pay/method/${method}`, {
          ...{ body: 'a call', headers: { 'content-type': 'text/plain' } },
        });
      const answer = await invoke('echo');
      expect(answer).toMatchObject({ status: 200, body: '"a call heard"' });
      expect(answer.headers['content-type']).toBe('application/json');
      expect((await invoke('none')).status).toBe(appProtocol === 'grpc' ? 501 : 404);
      const told = (): { route: string; data: unknown }[] =>
        app.log.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as never] : []));
      const wanted = [
        ...['orders 1', 'orders 2', 'orders {"total":3}', ...routed],
        ...['tried "again"', 'tried "again"', 'dead "again"'],
      ];
      await eventually('all have come', () => told().length >= wanted.length);
      const all = told().map(({ route, data }) => `${route} ${JSON.stringify(data)}`);
      expect(all.sort()).toEqual(wanted.sort());
    } finally {
      await runtime.stop();
      await app.stop();
    }
  },
  60_000,
);
