/**
 * The HTTP routes that no proto describes: Dapr's HTTP API as far as it is served, and the actuator. A test compares
 * them with the routes of the filter.
 */

export const TAGS = [
  { name: 'Dapr', description: "Dapr's HTTP API." },
  { name: 'JSON', description: 'Every operation as JSON, in the JSON form of proto3.' },
  { name: 'Actuator', description: 'Health, facts and log levels.' },
];

const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema) => ({ 'application/json': { schema } });
const ANYTHING = {};
const TEXTS = { type: 'object', additionalProperties: { type: 'string' } };

export const SCHEMAS = {
  Error: {
    type: 'object',
    description: 'Why a call was refused or failed.',
    properties: {
      errorCode: { type: 'string', description: 'For programs.' },
      message: { type: 'string', description: 'For people.' },
    },
    required: ['errorCode', 'message'],
  },
  DaprStateItem: {
    type: 'object',
    properties: {
      key: { type: 'string' },
      value: { description: 'Any JSON.' },
      etag: { type: 'string' },
      metadata: TEXTS,
      options: {
        type: 'object',
        properties: {
          concurrency: { type: 'string', enum: ['first-write', 'last-write'] },
          consistency: { type: 'string', enum: ['eventual', 'strong'] },
        },
      },
    },
    required: ['key'],
  },
  Standing: {
    type: 'object',
    properties: {
      status: { type: 'string', enum: ['UP', 'DOWN', 'INIT', 'UNKNOWN'] },
      details: { type: 'object', properties: { reason: { type: 'string' } } },
    },
    required: ['status'],
  },
  Health: {
    type: 'object',
    properties: {
      components: { type: 'object', additionalProperties: ref('Standing') },
      status: { type: 'string', enum: ['UP', 'DOWN', 'INIT'] },
    },
    required: ['components', 'status'],
  },
};

export const ERRORS = {
  BadRequest: { description: 'The request is wrong, or refused.', content: json(ref('Error')) },
  Unavailable: {
    description: 'The component is not ready, or the bridge away.',
    content: json(ref('Error')),
  },
  Failed: { description: 'The component failed.', content: json(ref('Error')) },
};

const failures = {
  '4XX': { $ref: '#/components/responses/BadRequest' },
  '5XX': { $ref: '#/components/responses/Failed' },
};
const done = { 204: { description: 'Done.' } };
const gives = (description, schema) => ({ 200: { description, content: json(schema) } });

const inPath = (name, description) => ({
  name,
  in: 'path',
  required: true,
  schema: { type: 'string' },
  description,
});
const inQuery = (name, description, schema = { type: 'string' }) => ({
  name,
  in: 'query',
  schema,
  description,
});
const STORE = inPath('store', "The component's name.");
const KEY = inPath('key', 'The key.');
const METADATA = inQuery('metadata', 'Metadata, as metadata.NAME=VALUE.', TEXTS);
METADATA.style = 'form';
METADATA.explode = true;
const CONSISTENCY = inQuery('consistency', 'eventual or strong.', {
  type: 'string',
  enum: ['eventual', 'strong'],
});
const CONCURRENCY = inQuery('concurrency', 'first-write or last-write.', {
  type: 'string',
  enum: ['first-write', 'last-write'],
});
const IF_MATCH = {
  name: 'If-Match',
  in: 'header',
  schema: { type: 'string' },
  description: 'The ETag it must have.',
};

const body = (schema) => ({ required: true, content: json(schema) });
const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const text = { type: 'string' };

/** The same route by POST and by PUT, as Dapr has it. */
const postOrPut = (route) =>
  ['post', 'put'].map((method) => ({ ...route, method, id: `${route.id}.${method}` }));

const lockBody = (more) => body(object({ resourceId: text, lockOwner: text, ...more }));

const dapr = [
  {
    method: 'get',
    path: '/v1.0/healthz',
    id: 'dapr.healthz',
    summary: 'Whether the runtime can serve',
    open: true,
    answers: { ...done, 500: { description: 'It cannot.', content: json(ref('Error')) } },
  },
  {
    method: 'get',
    path: '/v1.0/healthz/outbound',
    id: 'dapr.healthz.outbound',
    summary: 'The same, for the app',
    open: true,
    answers: { ...done, 500: { description: 'It cannot.', content: json(ref('Error')) } },
  },
  {
    method: 'get',
    path: '/v1.0/metadata',
    id: 'dapr.metadata.get',
    summary: 'The app, the components, and what was set',
    answers: { ...gives('Metadata.', ANYTHING), ...failures },
  },
  {
    method: 'put',
    path: '/v1.0/metadata/{key}',
    id: 'dapr.metadata.set',
    summary: 'Sets a value of the metadata',
    parameters: [KEY],
    body: { required: true, content: { 'text/plain': { schema: text } } },
    answers: { ...done, ...failures },
  },
  ...postOrPut({
    path: '/v1.0/state/{store}',
    id: 'dapr.state.save',
    summary: 'Saves values',
    parameters: [STORE, METADATA],
    body: body({ type: 'array', items: ref('DaprStateItem') }),
    answers: { ...done, ...failures },
  }),
  {
    method: 'get',
    path: '/v1.0/state/{store}/{key}',
    id: 'dapr.state.get',
    summary: 'Reads a value',
    parameters: [STORE, KEY, CONSISTENCY, METADATA],
    answers: {
      ...gives('The value, with its ETag as a header.', ANYTHING),
      204: { description: 'There is none.' },
      ...failures,
    },
  },
  {
    method: 'delete',
    path: '/v1.0/state/{store}/{key}',
    id: 'dapr.state.delete',
    summary: 'Deletes a value',
    parameters: [STORE, KEY, IF_MATCH, CONCURRENCY, CONSISTENCY, METADATA],
    answers: { ...done, ...failures },
  },
  ...postOrPut({
    path: '/v1.0/state/{store}/bulk',
    id: 'dapr.state.bulk',
    summary: 'Reads many values',
    parameters: [STORE, METADATA],
    body: body(object({ keys: { type: 'array', items: text }, parallelism: { type: 'integer' } }, ['keys'])),
    answers: { ...gives('An item per key.', { type: 'array', items: { type: 'object' } }), ...failures },
  }),
  ...postOrPut({
    path: '/v1.0/state/{store}/transaction',
    id: 'dapr.state.transaction',
    summary: 'Writes all or nothing',
    parameters: [STORE, METADATA],
    body: body(
      object(
        {
          operations: {
            type: 'array',
            items: object({
              operation: { type: 'string', enum: ['upsert', 'delete'] },
              request: ref('DaprStateItem'),
            }),
          },
          metadata: TEXTS,
        },
        ['operations'],
      ),
    ),
    answers: { ...done, ...failures },
  }),
  ...postOrPut({
    path: '/v1.0-alpha1/state/{store}/query',
    id: 'dapr.state.query',
    summary: 'Refused: no store can',
    parameters: [STORE],
    body: body({ type: 'object' }),
    answers: failures,
  }),
  {
    method: 'get',
    path: '/v1.0/secrets/{store}/{name}',
    id: 'dapr.secrets.get',
    summary: 'Reads a secret',
    parameters: [STORE, inPath('name', "The secret's name."), METADATA],
    answers: { ...gives('Its entries.', TEXTS), ...failures },
  },
  {
    method: 'get',
    path: '/v1.0/secrets/{store}/bulk',
    id: 'dapr.secrets.bulk',
    summary: 'Reads every secret',
    parameters: [STORE, METADATA],
    answers: {
      ...gives('Their entries, by name.', { type: 'object', additionalProperties: TEXTS }),
      ...failures,
    },
  },
  ...postOrPut({
    path: '/v1.0/bindings/{name}',
    id: 'dapr.bindings.invoke',
    summary: 'Invokes an output binding',
    parameters: [inPath('name', "The binding's name.")],
    body: body(object({ operation: text, data: ANYTHING, metadata: TEXTS }, ['operation'])),
    answers: { ...gives('What the backend gave.', ANYTHING), ...done, ...failures },
  }),
  {
    method: 'post',
    path: '/v1.0-alpha1/lock/{store}',
    id: 'dapr.lock.try',
    summary: 'Takes a lock, if nobody has it',
    parameters: [STORE],
    body: lockBody({ expiryInSeconds: { type: 'integer' } }),
    answers: { ...gives('Whether it was taken.', object({ success: { type: 'boolean' } })), ...failures },
  },
  {
    method: 'post',
    path: '/v1.0-alpha1/unlock/{store}',
    id: 'dapr.lock.unlock',
    summary: 'Gives a lock back',
    parameters: [STORE],
    body: lockBody({}),
    answers: { ...gives('0 if it is given back.', object({ status: { type: 'integer' } })), ...failures },
  },
];

/** Under both of the names that Dapr's API has had for it. */
const configuration = ['v1.0', 'v1.0-alpha1'].flatMap((version) => {
  const path = `/${version}/configuration/{store}`;
  const KEYS = inQuery('key', 'A key; may be given several times. None: every key.', {
    type: 'array',
    items: text,
  });
  const item = object({ value: text, version: text, metadata: TEXTS }, ['value']);
  const items = { type: 'object', additionalProperties: item };
  const id = `dapr.${version}.configuration`;
  return [
    {
      method: 'get',
      path,
      id: `${id}.get`,
      summary: 'Reads configuration',
      parameters: [STORE, KEYS, METADATA],
      answers: { ...gives('The items, by key.', items), ...failures },
    },
    {
      method: 'get',
      path: `${path}/subscribe`,
      id: `${id}.subscribe`,
      summary: 'Has the app called for each change',
      parameters: [STORE, KEYS, METADATA],
      answers: { ...gives('What the subscription is called.', object({ id: text })), ...failures },
    },
    {
      method: 'get',
      path: `${path}/{id}/unsubscribe`,
      id: `${id}.unsubscribe`,
      summary: 'Ends a subscription',
      parameters: [STORE, inPath('id', 'What it is called.')],
      answers: {
        ...gives('Whether it is ended.', object({ ok: { type: 'boolean' }, message: text }, ['ok'])),
        ...failures,
      },
    },
  ];
});

const loggers = object({ levels: { type: 'array', items: text }, loggers: TEXTS });
const notUp = { 503: { description: 'Something is not ready.', content: json(ref('Health')) } };
const noSuch = {
  500: { description: 'There is no such kind of health.', content: json({ type: 'object' }) },
};

const actuator = [
  {
    method: 'get',
    path: '/actuator/health/liveness',
    id: 'actuator.liveness',
    summary: 'Whether Envoy and the filter live',
    open: true,
    answers: gives('They do.', ref('Health')),
  },
  {
    method: 'get',
    path: '/actuator/health/readiness',
    id: 'actuator.readiness',
    summary: 'Whether the bridge and every component are ready',
    open: true,
    answers: { ...gives('They are.', ref('Health')), ...notUp },
  },
  {
    method: 'get',
    path: '/actuator/health',
    id: 'actuator.health',
    summary: 'Refused: say which',
    answers: noSuch,
  },
  {
    method: 'get',
    path: '/actuator/health/{kind}',
    id: 'actuator.health.kind',
    summary: 'Refused: there are liveness and readiness',
    parameters: [inPath('kind', 'Anything else.')],
    answers: noSuch,
  },
  {
    method: 'get',
    path: '/actuator/info',
    id: 'actuator.info',
    summary: 'The version, the app and the components',
    answers: { ...gives('Facts.', { type: 'object' }), ...failures },
  },
  {
    method: 'get',
    path: '/actuator/logger',
    id: 'actuator.logger.get',
    summary: 'How much each logger writes',
    answers: { ...gives('Levels.', loggers), ...failures },
  },
  {
    method: 'post',
    path: '/actuator/logger',
    id: 'actuator.logger.set',
    summary: 'Sets how much a logger writes',
    body: body(
      object(
        {
          component: text,
          level: { type: 'string', enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] },
        },
        ['level'],
      ),
    ),
    answers: { ...gives('Done.', { type: 'object' }), ...failures },
  },
];

const own = [
  {
    method: 'get',
    path: '/v1.0-layotto/openapi.json',
    id: 'openapi',
    summary: 'This document',
    answers: { ...gives('OpenAPI 3.1.', { type: 'object' }), ...failures },
  },
];

/** @type {{ method: string, path: string, tag: string, id: string, summary: string }[]} */
export const ROUTES = [
  ...[...dapr, ...configuration].map((route) => ({ ...route, tag: 'Dapr' })),
  ...own.map((route) => ({ ...route, tag: 'JSON' })),
  ...actuator.map((route) => ({ ...route, tag: 'Actuator' })),
];
