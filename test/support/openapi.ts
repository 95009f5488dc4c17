import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

interface Content {
  content?: Record<string, { schema?: unknown; example?: unknown }>;
}

/** One operation of the document. */
export interface Operation extends Record<string, unknown> {
  operationId: string;
  tags: string[];
  requestBody?: Content;
  responses: Record<string, Content & { $ref?: string }>;
}

/** The parts of docs/openapi/openapi.json that tests read. */
export interface OpenApi {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

export const source = readFileSync(new URL('../../docs/openapi/openapi.json', import.meta.url), 'utf8');
export const openApi = JSON.parse(source) as OpenApi;

/** An operation, where it stands, and an example of what it takes. */
export interface Described {
  path: string;
  method: string;
  operation: Operation;
  example: unknown;
}

/** Every operation, in the document's order. */
export function described(): Described[] {
  return Object.entries(openApi.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => {
      const example = operation.requestBody?.content?.['application/json']?.example;
      return { path, method: method.toUpperCase(), operation, example };
    }),
  );
}

const ajv = new Ajv2020({ strict: false, allErrors: true }).addSchema(openApi, 'openapi');

function escaped(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** What is wrong with a value by the schema at a place of the document; empty if nothing is. */
export function problems(place: readonly string[], value: unknown): string[] {
  const validate = ajv.compile({ $ref: `openapi#/${place.map(escaped).map(encodeURIComponent).join('/')}` });
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
}

/** What is wrong with an answer by what the document says of its status: also a status that it does not know. */
export function answerProblems(
  { path, method, operation }: Described,
  status: number,
  json: unknown,
): string[] {
  const key = [String(status), `${Math.floor(status / 100)}XX`].find((name) => name in operation.responses);
  if (key === undefined) return [`status ${status} is not described`];
  const response = operation.responses[key];
  const name = response?.$ref?.split('/').at(-1);
  const place =
    name === undefined
      ? ['paths', path, method.toLowerCase(), 'responses', key]
      : ['components', 'responses', name];
  if (status === 204) return json === undefined ? [] : ['204 has a body'];
  return problems([...place, 'content', 'application/json', 'schema'], json);
}
