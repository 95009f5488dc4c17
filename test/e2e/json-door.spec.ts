import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { http1, httpJson } from '../support/http1.js';
import { Runtime } from '../support/runtime.js';

interface Schema {
  $ref?: string;
  type?: string;
  items?: Schema;
  enum?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
}

interface Document {
  paths: Record<string, { post?: Operation }>;
  components: { schemas: Record<string, Schema> };
}

interface Operation {
  tags: string[];
  requestBody: { content: { 'application/json': { schema: Schema } } };
  responses: Record<string, { content: { 'application/json': { schema: Schema } } }>;
}

const COMPONENTS = [
  { name: 'statestore', type: 'state.embedded' },
  { name: 'configstore', type: 'configuration.embedded' },
  { name: 'lockstore', type: 'lock.embedded' },
  { name: 'sequencer', type: 'sequencer.embedded' },
  { name: 'localstorage', type: 'bindings.localstorage' },
  { name: 'file', type: 'file.local' },
  { name: 'helloworld', type: 'hello.helloworld' },
  { name: 'secretstore', type: 'secretstores.local.env', metadata: { prefix: 'JSON_DOOR_' } },
];

/** Which component each primitive's operations name. */
const NAMES: Record<string, string> = {
  state: 'statestore',
  configuration: 'configstore',
  lock: 'lockstore',
  sequencer: 'sequencer',
  binding: 'localstorage',
  file: 'file',
  hello: 'helloworld',
  secret: 'secretstore',
};

/** What fields are given in requests, where the beginning of their schema would not do. */
const VALUES: Record<string, unknown> = {
  operation: 'list',
  operationType: 'upsert',
  key: 'KEY',
  keys: ['KEY'],
  expire: 30,
  resourceId: 'r',
  lockOwner: 'a',
  kind: 'hellos',
  etag: undefined,
  data: undefined,
};

/** A whole file of a schema, and whether a value is what it says. */
class Schemas {
  constructor(private readonly all: Record<string, Schema>) {}

  of(schema: Schema): Schema {
    const name = schema.$ref?.replace('#/components/schemas/', '');
    return name === undefined ? schema : (this.all[name] ?? {});
  }

  sample(schema: Schema, name: string, component: string): unknown {
    if (['storeName', 'serviceName'].includes(name)) return component;
    if (name in VALUES) return VALUES[name];
    const { type, properties, items, enum: values } = this.of(schema);
    if (name === 'name') return component === 'file' ? 'a.txt' : component || 'helloworld';
    if (values !== undefined) return values[0];
    if (type === 'array') return [this.sample(items ?? {}, '', component)];
    if (type === 'string') return '';
    if (type === 'integer') return 0;
    if (type === 'boolean') return false;
    if (properties === undefined) return name === 'metadata' && component === '' ? { hello: 'hi' } : {};
    return Object.fromEntries(
      Object.entries(properties).map(([key, inner]) => [key, this.sample(inner, key, component)]),
    );
  }

  /** Where a value is not what the schema says. */
  problems(schema: Schema, value: unknown, at: string): string[] {
    const { type, properties, items, additionalProperties, enum: values } = this.of(schema);
    const found = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
    if (found !== type) return [`${at} is ${found}, not ${type}`];
    if (values !== undefined && !values.includes(value as string))
      return [`${at} is not one of ${values.join()}`];
    if (type === 'array')
      return (value as unknown[]).flatMap((item, index) =>
        this.problems(items ?? {}, item, `${at}/${index}`),
      );
    if (type !== 'object') return [];
    return Object.entries(value as Record<string, unknown>).flatMap(([key, inner]) => {
      const known =
        properties?.[key] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
      return known === undefined
        ? [`${at}/${key} is not known`]
        : this.problems(known, inner, `${at}/${key}`);
    });
  }
}

describe('the JSON door', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    process.env['JSON_DOOR_KEY'] = 'a secret';
    runtime = await Runtime.start({ components: COMPONENTS, concurrency: 2 });
    const folder = join(runtime.config.dataDir, 'file', 'file');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'a.txt'), 'text');
  });
  afterAll(async () => {
    delete process.env['JSON_DOOR_KEY'];
    await runtime?.stop();
  });

  const call = (path: string, body: unknown) =>
    httpJson(runtime.target, 'POST', `/v1.0-layotto/${path}`, body);

  test('serves each operation as its document says', async () => {
    const { status, json } = await httpJson(runtime.target, 'GET', '/v1.0-layotto/openapi.json');
    expect(status).toBe(200);
    const source = await readFile(new URL('../../docs/openapi/layotto.json', import.meta.url), 'utf8');
    expect(json).toEqual(JSON.parse(source));
    const document = json as Document;
    const schemas = new Schemas(document.components.schemas);
    const paths = Object.entries(document.paths).filter(([, { post }]) => post?.tags.includes('JSON'));
    const wrong: unknown[] = [];
    // Files go last: this one deletes what the others look at.
    const inOrder = [...paths].sort(
      ([a], [b]) => Number(a.endsWith('DelFile')) - Number(b.endsWith('DelFile')),
    );
    for (const [path, { post }] of inOrder) {
      if (post === undefined) continue;
      const primitive = path.split('/')[2] ?? '';
      const request = schemas.sample(
        post.requestBody.content['application/json'].schema,
        '',
        NAMES[primitive] ?? '',
      );
      // A list is of a folder.
      if (path.endsWith('ListFile')) Object.assign((request as { request: object }).request, { name: '' });
      const answer = await httpJson(runtime.target, 'POST', path, request);
      const said = post.responses['200']?.content['application/json'].schema ?? {};
      const problems = answer.status === 200 ? schemas.problems(said, answer.json, '') : [answer.body];
      if (problems.length > 0) wrong.push([path, request, problems]);
    }
    expect(wrong).toEqual([]);
    expect(paths.length).toBeGreaterThan(20);
  });

  test('is about the same state as the other doors', async () => {
    const value = Buffer.from('{"n":1}').toString('base64');
    const saved = await call('state/SaveState', { storeName: 'statestore', states: [{ key: 'n', value }] });
    expect(saved).toMatchObject({ status: 200, json: {} });
    expect((await http1(runtime.target, 'GET', '/v1.0/state/statestore/n')).body).toBe('{"n":1}');
    const stale = {
      key: 'n',
      value,
      etag: { value: '999' },
      options: { concurrency: 'CONCURRENCY_FIRST_WRITE' },
    };
    const refused = await call('state/SaveState', { storeName: 'statestore', states: [stale] });
    expect(refused).toMatchObject({ status: 409, json: { errorCode: 'ERR_ABORTED' } });
  });

  test('takes a lock for one owner, and gives ids that grow', async () => {
    const lock = { storeName: 'lockstore', resourceId: 'r', expire: 30 };
    expect((await call('lock/TryLock', { ...lock, lockOwner: 'a' })).json).toMatchObject({ success: true });
    expect((await call('lock/TryLock', { ...lock, lockOwner: 'b' })).json).toMatchObject({ success: false });
    const { expire: _, ...key } = lock;
    expect((await call('lock/Unlock', { ...key, lockOwner: 'b' })).json).toEqual({
      status: 'LOCK_STATUS_BELONG_TO_OTHERS',
    });
    const id = async () =>
      (
        (
          await call('sequencer/GetNextId', {
            storeName: 'sequencer',
            key: 'k',
            options: { increment: 'STRONG' },
          })
        ).json as { nextId: string }
      ).nextId;
    const [first, second] = [await id(), await id()];
    expect(BigInt(second)).toBe(BigInt(first) + 1n);
  });

  test.each([
    ['state/GetState', '{"storeName":"nope","key":"k"}', 400, /^state component nope is not found$/],
    [
      'state/GetState',
      '{"storeName":"statestore","key":7}',
      400,
      /GetStateRequest\.key from JSON: expected string, got 7$/,
    ],
    [
      'state/GetState',
      '{"storeName":"statestore","kee":"k"}',
      400,
      /"kee" is unknown; known: storeName, key, consistency, metadata$/,
    ],
    ['state/GetState', '{"storeName":"statestore"', 400, /^unexpected EOF$/],
    ['secret/GetSecret', '{"storeName":"secretstore","key":"absent"}', 404, /^secret absent not found$/],
    ['lock/TryLock', '{"storeName":"lockstore","lockOwner":"a","expire":1}', 400, /resource/i],
    ['lock/TryLock', '{"storeName":"lockstore","resourceId":"r","expire":1}', 400, /owner/i],
    ['lock/TryLock', '{"storeName":"lockstore","resourceId":"r","lockOwner":"a"}', 400, /expire/i],
    ['state/SaveState', '{"storeName":"statestore","states":[{"key":"a||b"}]}', 400, /\|\|/],
    ['sequencer/GetNextId', '{"storeName":"sequencer"}', 400, /key/i],
  ])('refuses %s %s', async (path, body, status, message) => {
    const answer = await http1(runtime.target, 'POST', `/v1.0-layotto/${path}`, { body });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      status,
      {
        errorCode: expect.stringMatching(/^ERR_/) as string,
        message: expect.stringMatching(message) as string,
      },
    ]);
  });
});
