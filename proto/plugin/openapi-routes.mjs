import { readdirSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** @typedef {Record<string, unknown>} Json */

/**
 * What `assembly/primitives/<primitive>/openapi.yaml` says.
 * @typedef {object} Primitive
 * @property {string} name
 * @property {string} about
 * @property {Route[]} [routes]
 * @property {Json} [schemas]
 * @property {Record<string, Json>} [answerHeaders] headers of answers of JSON operations, by the method's name
 * @property {Record<string, Json>} [examples] requests of JSON operations, by the method's name
 */

/**
 * A route of the router: of Dapr's HTTP API, or of the actuator.
 * @typedef {object} Route
 * @property {string} path
 * @property {string[]} methods
 * @property {string} operation as the router names it
 * @property {string} summary
 * @property {boolean} [public] it needs no token
 * @property {Record<string, Json>} [query] schemas of parameters, with a description each
 * @property {Record<string, Json>} [headers] the same
 * @property {Json} [body] schema of a JSON body
 * @property {string} [text] what a body of plain text is
 * @property {string} [any] what a body of any type is
 * @property {Record<string, string | { description: string, schema?: unknown, headers?: Json }>} [answers] by status
 * @property {number[]} [errors] statuses of errors with Dapr's error body
 */

const FOLDER = fileURLToPath(new URL('../../assembly/primitives', import.meta.url));

/** @returns {Primitive[]} in order of their names */
export function primitives() {
  return readdirSync(FOLDER)
    .sort()
    .flatMap((name) => {
      const file = join(FOLDER, name, 'openapi.yaml');
      return existsSync(file) ? [{ name, ...parse(readFileSync(file, 'utf8')) }] : [];
    });
}

/** What the parameters in paths are. */
const IN_PATH = new Map([
  ['store', 'Name of the component.'],
  ['pubsub', 'Name of the component.'],
  ['topic', 'The topic, which may have slashes in it.'],
  ['name', 'Name of what is asked for.'],
  ['key', 'The key.'],
  ['id', 'The id that was given.'],
  ['type', 'What is asked for.'],
]);

/**
 * A route's operation for one of its methods.
 * @param {Primitive} primitive
 * @param {Route} route
 * @param {string} method
 */
export function routeOperation(primitive, route, method) {
  const { operation, summary } = route;
  // Of an operation that takes POST and PUT alike the first has the plain name.
  const suffix = method === route.methods[0] ? '' : `_${method}`;
  const api = /^\/v1\.0[/-]/.test(route.path) ? 'dapr' : primitive.name;
  // One operation may have several paths: those after the first are told apart by what the path has more.
  const paths = (primitive.routes ?? []).filter((other) => other.operation === operation);
  const at = paths.indexOf(route);
  const of = at > 0 ? `_${at + 1}` : '';
  return {
    operationId: `${api}_${operation}${of}${suffix}`,
    tags: [primitive.name],
    summary,
    ...(route.public ? { security: [] } : {}),
    ...parameters(route),
    ...requestBody(route),
    responses: { ...answers(route), ...errors(route) },
  };
}

/** @param {Route} route */
function parameters({ path, query = {}, headers = {} }) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    description: IN_PATH.get(name) ?? name,
    schema: { type: 'string', minLength: 1 },
  }));
  const others = [
    ...Object.entries(query).map((entry) => parameter('query', ...entry)),
    ...Object.entries(headers).map((entry) => parameter('header', ...entry)),
  ];
  const all = [...inPath, ...others];
  return all.length === 0 ? {} : { parameters: all };
}

/**
 * @param {string} where
 * @param {string} name
 * @param {Json} about
 */
function parameter(where, name, { description, ...schema }) {
  return { name, in: where, description, schema };
}

/** @param {Route} route */
function requestBody({ body, text, any }) {
  if (body !== undefined) return { requestBody: { required: true, content: json(body) } };
  if (any !== undefined) return { requestBody: { description: any, content: { '*/*': { schema: {} } } } };
  if (text === undefined) return {};
  const content = { 'text/plain': { schema: { type: 'string' } } };
  return { requestBody: { description: text, content } };
}

/** @param {Route} route */
function answers({ answers: given = {} }) {
  return Object.fromEntries(
    Object.entries(given).map(([status, answer]) => {
      if (typeof answer === 'string') return [status, { description: answer }];
      const { schema, ...rest } = answer;
      return [status, schema === undefined ? rest : { ...rest, content: json(schema) }];
    }),
  );
}

/** @param {Route} route */
function errors(route) {
  const statuses = [...new Set([...(route.errors ?? []), 403])].filter((status) => status !== 401).sort();
  return {
    ...(route.public ? {} : { 401: { $ref: '#/components/responses/DaprUnauthorized' } }),
    ...Object.fromEntries(statuses.map((status) => [status, { $ref: '#/components/responses/DaprError' }])),
  };
}

/** @param {unknown} schema */
export function json(schema) {
  return { 'application/json': { schema } };
}
