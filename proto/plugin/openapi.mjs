/** The OpenAPI 3.1 document: the JSON door from the protos, the other HTTP routes from http-routes.mjs. */
import { ScalarType } from '@bufbuild/protobuf';
import { getComments } from '@bufbuild/protoplugin';

import { ERRORS, ROUTES, SCHEMAS, TAGS } from './http-routes.mjs';

/** @typedef {import('./json-operations.mjs').JsonOperation} JsonOperation */

/** @param {JsonOperation[]} operations */
export function openapi(operations) {
  const schemas = {};
  const paths = {};
  for (const operation of operations) paths[operation.path] = { post: jsonOperation(operation, schemas) };
  for (const { path, method, ...rest } of ROUTES)
    paths[path] = { ...paths[path], [method]: routeOperation(rest) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Layotto on Envoy',
      summary: 'Every HTTP route of the runtime',
      description:
        'gRPC callers have the same operations by the protos of Layotto and Dapr. A request with an Origin header is refused, and so is a Host that is neither localhost nor an IP address nor named in listen.hosts.',
      version: '1.0',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: 'http://127.0.0.1:34904', description: 'the address that listen.host and listen.port name' },
    ],
    security: [{ token: [] }, {}],
    tags: TAGS,
    paths: sorted(paths),
    components: {
      securitySchemes: {
        token: {
          type: 'apiKey',
          in: 'header',
          name: 'dapr-api-token',
          description: 'Needed if the runtime was given a token.',
        },
      },
      schemas: sorted({ ...schemas, ...SCHEMAS }),
      responses: ERRORS,
    },
  };
}

/** @param {JsonOperation} operation */
function jsonOperation({ method, primitive }, schemas) {
  const said = comment(method);
  return {
    tags: ['JSON'],
    operationId: `${primitive}.${method.name}`,
    summary: `${primitive}: ${method.name}`,
    ...(said === '' ? {} : { description: said }),
    requestBody: { required: true, content: json(messageRef(method.input, schemas)) },
    responses: {
      200: { description: 'The answer.', content: json(messageRef(method.output, schemas)) },
      ...errors(['BadRequest', 'Unavailable', 'Failed']),
    },
  };
}

function routeOperation({ tag, id, summary, parameters = [], body, answers, open = false }) {
  return {
    tags: [tag],
    operationId: id,
    summary,
    ...(open ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: answers,
  };
}

function json(schema) {
  return { 'application/json': { schema } };
}

function errors(names) {
  const status = { BadRequest: '4XX', Unavailable: '503', Failed: '5XX' };
  return Object.fromEntries(names.map((name) => [status[name], { $ref: `#/components/responses/${name}` }]));
}

function messageRef(message, schemas) {
  const name = shortName(message);
  if (!Object.hasOwn(schemas, name)) {
    // From before its fields are looked at: a message may hold itself.
    schemas[name] = {};
    schemas[name] = messageSchema(message, schemas);
  }
  return { $ref: `#/components/schemas/${name}` };
}

function messageSchema(message, schemas) {
  const said = comment(message);
  return {
    type: 'object',
    ...(said === '' ? {} : { description: said }),
    properties: Object.fromEntries(
      message.fields.map((field) => [field.jsonName, fieldSchema(field, schemas)]),
    ),
    additionalProperties: false,
  };
}

function fieldSchema(field, schemas) {
  const said = comment(field);
  const schema = valueSchema(field, schemas);
  return said === '' ? schema : { ...schema, description: said };
}

function valueSchema(field, schemas) {
  if (field.fieldKind === 'list') return { type: 'array', items: single(field, field.listKind, schemas) };
  if (field.fieldKind === 'map')
    return { type: 'object', additionalProperties: single(field, field.mapKind, schemas) };
  return single(field, field.fieldKind, schemas);
}

function single(field, kind, schemas) {
  if (kind === 'message') return messageRef(field.message, schemas);
  if (kind === 'enum') return { type: 'string', enum: field.enum.values.map(({ name }) => name) };
  return scalar(field.scalar);
}

/** How proto3's JSON writes a scalar; 64-bit numbers are texts. */
function scalar(type) {
  switch (type) {
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return { type: 'integer', format: 'int32' };
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return { type: 'string', pattern: '^-?[0-9]+$' };
    default:
      throw new Error(`a scalar of type ${ScalarType[type]} has no schema yet`);
  }
}

function shortName(message) {
  return message.parent ? `${shortName(message.parent)}.${message.name}` : message.name;
}

/** What the proto says of something, as one line. */
function comment(desc) {
  return (getComments(desc).leading ?? '').trim().replace(/\s+/g, ' ');
}

function sorted(object) {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
