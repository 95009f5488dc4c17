import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { deleteLayotto, saveLayotto } from '../support/configuration-calls.js';
import type { RawClient } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

/** An app that keeps what it is told, and answers with the status that it is told to. */
class App {
  readonly calls: { url: string; body: unknown }[] = [];
  status = 200;
  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.calls.push({
          url: request.url ?? '',
          body: JSON.parse(Buffer.concat(chunks).toString()) as unknown,
        });
        response.writeHead(this.status).end();
      });
    });
  }

  static async start(): Promise<App> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new App(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What it was told at a path, oldest first. */
  told(path: string): unknown[] {
    return this.calls.filter(({ url }) => url === path).map(({ body }) => body);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe("Dapr's HTTP subscriptions to configuration", () => {
  let app: App;
  let runtime: Runtime;
  let client: RawClient;

  beforeAll(async () => {
    app = await App.start();
    runtime = await Runtime.start({
      appPort: app.port,
      components: [{ name: 'configs', type: 'configuration.embedded' }],
    });
    client = await runtime.connect();
  });

  beforeEach(() => {
    app.status = 200;
    app.calls.length = 0;
  });

  afterAll(async () => {
    await runtime?.stop();
    await app?.stop();
  });

  const get = async (path: string): Promise<{ status: number; json: Record<string, unknown> }> => {
    const { status, body } = await http1(runtime.target, 'GET', `/v1.0/configuration/${path}`);
    return { status, json: JSON.parse(body) as Record<string, unknown> };
  };

  const subscribe = async (query: string): Promise<string> => {
    const { status, json } = await get(`configs/subscribe${query}`);
    expect(status).toBe(200);
    expect(Object.keys(json)).toEqual(['id']);
    return String(json['id']);
  };

  const save = (key: string, content: string): Promise<unknown> =>
    saveLayotto(client, { storeName: 'configs', items: [{ key, content }] });

  test('the app is called for each item that changes, until it unsubscribes', async () => {
    await save('a b/c', 'before');
    const id = await subscribe('?key=a%20b%2Fc&key=two');
    await save('a b/c', 'after');
    const path = '/configuration/configs/a%20b%2Fc';
    await eventually('it is told', () => app.told(path).length === 1);
    expect(app.told(path)).toEqual([{ id, items: { 'a b/c': { value: 'after', version: '2' } } }]);
    await deleteLayotto(client, { storeName: 'configs', keys: ['a b/c'] });
    await eventually('it is told of the deletion', () => app.told(path).length === 2);
    expect(app.told(path)[1]).toEqual({ id, items: { 'a b/c': {} } });
    expect(await get(`configs/${id}/unsubscribe`)).toEqual({ status: 200, json: { ok: true } });
    const again = await get(`configs/${id}/unsubscribe`);
    expect(again.status).toBe(500);
    expect(again.json).toEqual({
      message: expect.stringContaining(
        `failed to unsubscribe to configuration request ${id}: there is no`,
      ) as string,
    });
    const other = await subscribe('?key=end');
    await save('two', 'not told');
    await save('end', 'x');
    await eventually('the other one is told', () => app.told('/configuration/configs/end').length === 1);
    expect(app.told('/configuration/configs/two')).toEqual([]);
    await get(`configs/${other}/unsubscribe`);
  });

  test('an app that cannot take it now is called again, with the latest', async () => {
    const id = await subscribe('?key=retried');
    app.status = 503;
    await save('retried', 'first');
    await eventually('it is tried', () => app.calls.length >= 2);
    await save('retried', 'second');
    app.status = 200;
    const path = '/configuration/configs/retried';
    const last = { id, items: { retried: { value: 'second', version: '2' } } };
    await eventually(
      'it is told the latest',
      () => JSON.stringify(app.told(path).at(-1)) === JSON.stringify(last),
    );
    const { length } = app.calls;
    await save('retried', 'third');
    await eventually('it goes on', () => app.calls.length === length + 1);
    await get(`configs/${id}/unsubscribe`);
  });

  test('an app that refuses is not called again', async () => {
    const id = await subscribe('');
    app.status = 404;
    await save('refused1', 'x');
    await eventually('it is called', () => app.calls.length === 1);
    await save('refused2', 'x');
    await eventually('the next is told', () => app.told('/configuration/configs/refused2').length === 1);
    expect(app.told('/configuration/configs/refused1')).toHaveLength(1);
    await get(`configs/${id}/unsubscribe`);
  });

  test('is refused where no app can be called', async () => {
    const alone = await Runtime.start({ components: [{ name: 'configs', type: 'configuration.embedded' }] });
    try {
      const { status, body } = await http1(alone.target, 'GET', '/v1.0/configuration/configs/subscribe');
      expect(status).toBe(500);
      expect(JSON.parse(body)).toMatchObject({ errorCode: 'ERR_APP_CHANNEL_NIL' });
    } finally {
      await alone.stop();
    }
    const unknown = await get('nope/subscribe');
    expect(unknown).toEqual({
      status: 400,
      json: { errorCode: 'ERR_CONFIGURATION_STORE_NOT_FOUND', message: 'configuration store nope not found' },
    });
  });
});
