import { jsonOperations } from './json-operations.mjs';
import { json, primitives, routeOperation } from './openapi-routes.mjs';
import { MessageSchemas, schemaName, textOf } from './openapi-schemas.mjs';

/** @typedef {import('./openapi-routes.mjs').Primitive} Primitive */
/** @typedef {import('./json-operations.mjs').JsonOperation} JsonOperation */
/** @typedef {Record<string, unknown>} Json */

const DESCRIPTION = `What an app may call over HTTP on the port of its runtime: the runtime's own operations as JSON, and
the routes of Dapr's HTTP API that it serves.

**Operations as JSON**, \`POST /v1.0-layotto/{primitive}/{Method}\`: the messages are proto3 JSON of the canonical gRPC
API. Names may also be those of the .proto files (\`store_name\`). Bytes are base64, 64-bit numbers are strings, and
what has its default value is left out of answers. A request with a name that is not known here, or with one name twice,
is refused.

**Dapr's routes** take \`metadata.<name>\` in the query beside the parameters that are named here, and answer with headers
\`metadata.<name>\` where a component has something to say. \`PUT\` and \`POST\` are the same where both are there.

No request and no answer may be longer than \`limits.message\`.`;

/** Codes of errors of the JSON door: the names of google.rpc.Code, without OK. */
const CODES = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/**
 * The OpenAPI document of every HTTP door.
 * @param {readonly import('@bufbuild/protobuf').DescFile[]} files
 */
export function openApiDocument(files) {
  const operations = jsonOperations(files);
  const known = primitives();
  checkExamples(operations, known);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Layotto on Envoy',
      version: '1.0',
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:34904', description: 'The runtime beside the app.' }],
    security: [{}, { token: [] }],
    tags: [
      ...known.map(({ name, about }) => ({ name, description: about })),
      { name: 'openapi', description: 'This document, and the one of the topics.' },
    ],
    paths: { ...daprPaths(known), ...jsonPaths(operations, known), ...documentPath() },
    components: {
      securitySchemes: {
        token: {
          type: 'apiKey',
          in: 'header',
          name: 'dapr-api-token',
          description: 'Where the configuration has tokens: one of them.',
        },
      },
      responses: sharedResponses(),
      schemas: {
        ...sharedSchemas(),
        ...Object.assign({}, ...known.map(({ schemas }) => schemas)),
        ...new MessageSchemas(operations).all,
      },
    },
  };
}

/**
 * What a primitive of somebody's own adds to the document. Its schemas have its name in front, so that they are never
 * taken for others.
 * @param {readonly JsonOperation[]} operations of that primitive, at least one
 */
export function openApiPart(operations) {
  const [{ primitive, method }] = operations;
  const schemas = new MessageSchemas(operations).all;
  const own = Object.entries(schemas).map(([name, schema]) => [`${primitive}.${name}`, schema]);
  const part = {
    tag: { name: primitive, description: textOf(method.parent) || method.parent.typeName },
    paths: jsonPaths(operations, []),
    schemas: Object.fromEntries(own),
  };
  const text = JSON.stringify(part).replaceAll('"#/components/schemas/', `$&${primitive}.`);
  return JSON.parse(text);
}

/** @param {readonly Primitive[]} known */
function daprPaths(known) {
  /** @type {Record<string, Json>} */
  const paths = {};
  for (const primitive of known) {
    for (const route of primitive.routes ?? []) {
      const path = (paths[route.path] ??= {});
      for (const method of route.methods) path[method] = routeOperation(primitive, route, method);
    }
  }
  return paths;
}

/**
 * @param {readonly JsonOperation[]} operations
 * @param {readonly Primitive[]} known
 */
function jsonPaths(operations, known) {
  return Object.fromEntries(
    operations.map(({ primitive, path, method }) => {
      const about = known.find(({ name }) => name === primitive);
      const example = about?.examples?.[method.name];
      const headers = about?.answerHeaders?.[method.name];
      const description = textOf(method);
      const content = { 'application/json': { schema: reference(method.input), example } };
      const post = {
        operationId: `${primitive}_${method.name}`,
        tags: [primitive],
        summary: method.name,
        ...(description === '' ? {} : { description }),
        requestBody: { required: true, content },
        responses: {
          200: {
            description: 'It is done.',
            ...(headers === undefined ? {} : { headers }),
            content: json(reference(method.output)),
          },
          ...refusals(),
        },
      };
      return [path, { post }];
    }),
  );
}

function documentPath() {
  const answer = { description: 'The document.', content: json({ type: 'object' }) };
  /** @param {string} operationId @param {string} summary */
  const get = (operationId, summary) => ({
    get: { operationId, tags: ['openapi'], summary, responses: { 200: answer, ...refusals() } },
  });
  return {
    '/v1.0-layotto/asyncapi.json': get('asyncapi', 'Describes the topics of the app, as AsyncAPI 3.0'),
    '/v1.0-layotto/openapi.json': get('openapi', 'Describes every HTTP door'),
  };
}

function refusals() {
  const $ref = '#/components/responses/JsonError';
  return { '4XX': { $ref }, '5XX': { $ref } };
}

function sharedResponses() {
  return {
    DaprError: {
      description: 'It is refused or has failed; the message says why.',
      content: json({ $ref: '#/components/schemas/DaprError' }),
    },
    DaprUnauthorized: {
      description: 'The token is missing or wrong, or something is not allowed.',
      content: {
        'text/plain': { schema: { type: 'string' } },
        ...json({ $ref: '#/components/schemas/DaprError' }),
      },
    },
    JsonError: {
      description: 'It is refused or has failed; the message says why.',
      content: json({ $ref: '#/components/schemas/JsonError' }),
    },
  };
}

function sharedSchemas() {
  const message = { type: 'string', description: 'What happened, for people.' };
  return {
    DaprError: {
      type: 'object',
      properties: {
        errorCode: { type: 'string', description: "Dapr's name of the error." },
        message,
        details: { type: 'array', items: { type: 'object' } },
      },
      required: ['errorCode', 'message'],
    },
    DaprMetadata: { type: 'object', additionalProperties: { type: 'string' } },
    JsonError: {
      type: 'object',
      properties: {
        errorCode: { type: 'string', enum: CODES, description: 'The code that a gRPC caller would get.' },
        message,
      },
      required: ['errorCode', 'message'],
    },
  };
}

/** @param {import('@bufbuild/protobuf').DescMessage} message */
function reference(message) {
  return { $ref: `#/components/schemas/${schemaName(message)}` };
}

/**
 * Every operation has an example, and every example an operation.
 * @param {readonly JsonOperation[]} operations
 * @param {readonly Primitive[]} known
 */
function checkExamples(operations, known) {
  const wanted = operations.map(({ primitive, method }) => `${primitive}/${method.name}`);
  const given = known.flatMap(({ name, examples }) =>
    Object.keys(examples ?? {}).map((key) => `${name}/${key}`),
  );
  const missing = wanted.filter((name) => !given.includes(name));
  const odd = given.filter((name) => !wanted.includes(name));
  if (missing.length + odd.length > 0) {
    throw new Error(
      `openapi.yaml of primitives: no example of [${missing}], examples of no operation [${odd}]`,
    );
  }
}
