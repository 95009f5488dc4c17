import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';

const { resolve } = createRequire(import.meta.url);
const schema = JSON.parse(
  readFileSync(resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json'), 'utf8'),
) as object;
const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
addFormats.default(ajv);
const validate = ajv.compile(schema);

/** What is wrong with an AsyncAPI 3.0 document by the initiative's own schema, and references that lead nowhere. */
export function asyncApiProblems(document: unknown): string[] {
  const problems = validate(document)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
  for (const reference of referencesIn(document)) {
    const parts = reference.slice(2).split('/');
    const found = parts.reduce<unknown>(
      (inside, part) => (inside as Record<string, unknown>)?.[part],
      document,
    );
    if (!reference.startsWith('#/') || found === undefined) problems.push(`${reference} leads nowhere`);
  }
  return problems;
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : referencesIn(inner),
  );
}
