import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Code } from '../../components-bridge/src/primitives/errors.js';
import { TestHttpServer } from '../support/http-server.js';
import { Rooms } from '../support/rooms.js';
import { eventually } from '../support/wait.js';
import { bindingConformance, invoke } from './binding.js';
import type { BindingBackend } from './binding.js';
import { refused } from './state-client.js';

const certificates = new URL('../support/certificates/', import.meta.url);
const certificate = (name: string): Promise<string> => readFile(new URL(name, certificates), 'utf8');

async function http(): Promise<BindingBackend> {
  const server = await TestHttpServer.start();
  return {
    component: { type: 'bindings.http', metadata: { url: `${server.url}/api` } },
    operations: 'create get head post put patch delete options trace',
    keep: (name, data) => ({ operation: 'put', data, metadata: { path: `kept/${name}` } }),
    fetch: (name) => ({ operation: 'get', metadata: { path: `/kept/${name}` } }),
    miss: {
      request: { operation: 'get', metadata: { path: '/kept/nothing' } },
      message: /^received status code 404$/,
    },
    stop: () => server.stop(),
  };
}

async function folder(): Promise<BindingBackend> {
  const rootPath = await mkdtemp(join(tmpdir(), 'binding-'));
  return {
    component: { type: 'bindings.localstorage', metadata: { rootPath } },
    operations: 'create get list delete',
    keep: (fileName, data) => ({ operation: 'create', data, metadata: { fileName } }),
    fetch: (fileName) => ({ operation: 'get', metadata: { fileName } }),
    miss: {
      request: { operation: 'get', metadata: { fileName: 'nothing' } },
      message: /^file not found: nothing$/,
    },
    stop: () => rm(rootPath, { recursive: true, force: true }),
  };
}

bindingConformance({ backend: 'http', setup: 'HTTP/1.1' }, http);
bindingConformance({ backend: 'localstorage', setup: 'a folder' }, folder);

describe('bindings.http', () => {
  let server: TestHttpServer;
  const opened: Rooms[] = [];

  beforeAll(async () => (server = await TestHttpServer.start()));
  afterEach(async () => {
    for (const rooms of opened.splice(0)) await rooms.close();
  });
  afterAll(() => server?.stop());

  async function open(metadata: Record<string, string> = {}): Promise<Rooms> {
    const all = { url: `${server.url}/api/`, ...metadata };
    const rooms = await Rooms.open([{ name: 'b', type: 'bindings.http', metadata: all }]);
    opened.push(rooms);
    return rooms;
  }

  const last = () => {
    const seen = server.seen.at(-1);
    if (seen === undefined) throw new Error('the server has seen nothing');
    return seen;
  };

  it.each([
    ['create', 'POST', 'data'],
    ['post', 'POST', 'data'],
    ['put', 'PUT', 'data'],
    ['patch', 'PATCH', 'data'],
    ['delete', 'DELETE', ''],
    ['get', 'GET', ''],
    ['head', 'HEAD', ''],
    ['options', 'OPTIONS', ''],
    ['trace', 'TRACE', ''],
  ])('%s is %s', async (operation, method, body) => {
    const rooms = await open({ errorIfNot2XX: 'false' });
    await invoke(rooms, { operation, data: 'data', metadata: { path: 'kept/x?a=b' } });
    expect(last()).toMatchObject({ method, url: '/api/kept/x?a=b', body });
  });

  it('answers with status and headers as Go spells them', async () => {
    const { data, metadata } = await invoke(await open(), {
      operation: 'post',
      data: 'd',
      metadata: { path: 'kept/y' },
    });
    expect(data).toBe('d');
    expect(metadata).toMatchObject({
      statusCode: '200',
      status: '200 OK',
      'Set-Cookie': 'a=1, b=2',
      'X-Served-By': 'test',
    });
  });

  it('sends capitalised metadata as headers, and only what may be one', async () => {
    const rooms = await open({ securityToken: 'hush-hush', securityTokenHeader: 'X-Token' });
    const metadata = {
      path: 'kept/h',
      'Content-Type': 'text/plain',
      'X-Mine': 'yes',
      'x-not': 'no',
      'Content-Length': '99999',
      'Transfer-Encoding': 'chunked',
      Host: 'elsewhere',
      Connection: 'upgrade',
    };
    await invoke(rooms, { operation: 'post', data: 'body', metadata });
    const { headers, body } = last();
    expect(body).toBe('body');
    expect(headers).toMatchObject({
      'content-type': 'text/plain',
      accept: 'application/json; charset=utf-8',
      'x-mine': 'yes',
      'x-token': 'hush-hush',
      'content-length': '4',
      host: `127.0.0.1:${server.port}`,
      connection: 'keep-alive',
    });
    expect(Object.keys(headers)).not.toContain('x-not');
    for (const [name, value] of [
      ['X-Bad', 'a\r\nX-Injected: b'],
      ['X Bad', 'a'],
    ] as const) {
      const request = { operation: 'get', metadata: { [name]: value } };
      expect(await refused(invoke(rooms, request))).toMatchObject({ code: Code.INTERNAL });
    }
  });

  it('passes the trace context on', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await invoke(await open(), { operation: 'post', metadata: { path: 'kept/t' } }, { traceparent });
    expect(last().headers['traceparent']).toBe(traceparent);
  });

  it.each(['../status/200', '%2e%2e/status/200', 'x/../../status/200', '..', '\\..\\..\\status/200'])(
    'refuses the path %s, which leads out of the address',
    async (path) => {
      const before = server.seen.length;
      expect(await refused(invoke(await open(), { operation: 'get', metadata: { path } }))).toEqual({
        code: Code.INTERNAL,
        message: `invalid path: ${path}`,
      });
      expect(server.seen).toHaveLength(before);
    },
  );

  it('fails for a status other than 2xx, unless told otherwise', async () => {
    const request = { operation: 'get', metadata: { path: 'status/503' } };
    const message = 'received status code 503';
    expect(await refused(invoke(await open(), request))).toMatchObject({ code: Code.INTERNAL, message });
    const rooms = await open({ errorIfNot2XX: 'false' });
    expect(await invoke(rooms, request)).toMatchObject({
      data: 'as you wished',
      metadata: { statusCode: '503', status: '503 Service Unavailable', 'X-Why': 'because' },
    });
    const strict = { ...request, metadata: { ...request.metadata, errorIfNot2XX: 'true' } };
    expect(await refused(invoke(rooms, strict))).toMatchObject({ message });
  });

  it.each(['never', 'slowly'])('gives up at the deadline of a call that is answered %s', async (path) => {
    const rooms = await open();
    const call = invoke(rooms, { operation: 'get', metadata: { path } }, { deadlineMs: 200 });
    expect(await refused(call)).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  it('gives up after responseTimeout', async () => {
    const rooms = await open({ responseTimeout: '200ms' });
    const call = invoke(rooms, { operation: 'get', metadata: { path: 'never' } }, { deadlineMs: 20_000 });
    expect(await refused(call)).toEqual({
      code: Code.INTERNAL,
      message: 'no answer within 200 ms (responseTimeout)',
    });
  });

  it('stops at maxResponseBodySize', async () => {
    const rooms = await open({ maxResponseBodySize: '1Ki' });
    const long = { operation: 'post', data: 'x'.repeat(1025), metadata: { path: 'kept/m' } };
    expect(await refused(invoke(rooms, long))).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    await invoke(rooms, { ...long, data: 'x'.repeat(1024) });
  });

  it('uses a connection again, and survives that it was closed meanwhile', async () => {
    const rooms = await open();
    await invoke(rooms, { operation: 'post', data: 'd', metadata: { path: 'kept/c' } });
    const before = server.connections;
    await invoke(rooms, { operation: 'get', metadata: { path: 'kept/c' } });
    expect(server.connections).toBe(before);
    server.dropConnections();
    expect((await invoke(rooms, { operation: 'get', metadata: { path: 'kept/c' } })).data).toBe('d');
  });

  it('says why a server cannot be reached', async () => {
    const gone = await TestHttpServer.start();
    const rooms = await open({ url: gone.url });
    await gone.stop();
    const { code, message } = await refused(invoke(rooms, { operation: 'get' }));
    expect([code, message]).toEqual([Code.INTERNAL, expect.stringContaining('ECONNREFUSED')]);
  });

  it('ends what is on its way when it is closed', async () => {
    const rooms = await open();
    const call = refused(invoke(rooms, { operation: 'get', metadata: { path: 'never' } }));
    await eventually('the server has the request', () => last().url === '/api/never');
    await rooms.registry.find('binding', 'b')?.close();
    expect(await call).toMatchObject({ code: Code.INTERNAL, message: 'the binding is closed' });
  });

  it('speaks TLS, with a CA and a certificate of its own', async () => {
    const tls = await TestHttpServer.start({
      cert: await certificate('server.pem'),
      key: await certificate('server.key'),
      ca: await certificate('ca.pem'),
      requestCert: true,
    });
    try {
      const url = `https://127.0.0.1:${tls.port}`;
      const request = { operation: 'post', data: 'd', metadata: { path: 'kept/s' } };
      expect((await refused(invoke(await open({ url }), request))).message).toMatch(/certificate/);
      const rooms = await open({
        url,
        MTLSRootCA: new URL('ca.pem', certificates).pathname,
        MTLSClientCert: new URL('client.pem', certificates).pathname,
        MTLSClientKey: await certificate('client.key'),
      });
      expect((await invoke(rooms, request)).data).toBe('d');
    } finally {
      await tls.stop();
    }
  });
});

describe('bindings.localstorage', () => {
  let rootPath: string;
  let outside: string;
  let rooms: Rooms;

  beforeAll(async () => {
    rootPath = await mkdtemp(join(tmpdir(), 'binding-'));
    outside = await mkdtemp(join(tmpdir(), 'outside-'));
    await writeFile(join(outside, 'secret'), 'not yours');
    await symlink(outside, join(rootPath, 'way-out'));
    await symlink(join(outside, 'secret'), join(rootPath, 'link'));
    rooms = await Rooms.open([
      { name: 'b', type: 'bindings.localstorage', metadata: { rootPath } },
      { name: 'default', type: 'bindings.localstorage' },
    ]);
  });

  afterAll(async () => {
    await rooms?.close();
    for (const path of [rootPath, outside]) await rm(path, { recursive: true, force: true });
  });

  it('names a file that has no name, lists files and deletes them', async () => {
    const { data } = await invoke(rooms, { operation: 'create', data: '"text with \\n"' });
    const { fileName } = JSON.parse(data) as { fileName: string };
    expect(await readFile(join(rootPath, fileName), 'utf8')).toBe('text with \n');
    await invoke(rooms, { operation: 'create', data: '{"a":1}', metadata: { fileName: 'deep/er/x.json' } });
    const listed = await invoke(rooms, { operation: 'list' });
    expect(JSON.parse(listed.data)).toEqual(
      [join(rootPath, fileName), join(rootPath, 'deep/er/x.json')].sort(),
    );
    const inner = await invoke(rooms, { operation: 'list', metadata: { fileName: 'deep' } });
    expect(JSON.parse(inner.data)).toEqual([join(rootPath, 'deep/er/x.json')]);
    for (const name of [fileName, 'deep/er/x.json'])
      await invoke(rooms, { operation: 'delete', metadata: { fileName: name } });
    expect((await invoke(rooms, { operation: 'list' })).data).toBe('[]');
  });

  it.each(['../outside', 'a/../../b', '..', 'way-out/secret', 'way-out/new', 'link', 'x\0y'])(
    'does not leave its folder for %p',
    async (fileName) => {
      for (const operation of ['get', 'create']) {
        expect(await refused(invoke(rooms, { operation, data: 'd', metadata: { fileName } }))).toMatchObject({
          code: Code.INTERNAL,
        });
      }
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('not yours');
      expect(await readdir(outside)).toEqual(['secret']);
    },
  );

  it('keeps its files in the data folder by default', async () => {
    expect(await readdir(join(rooms.dataDir, 'binding'))).toEqual(['default']);
  });
});
