import * as z from 'zod';
import type { ZodType } from 'zod';

import type { ConfigDocument } from './document.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { hint } from './suggest.js';

/**
 * A field of a schema: what `read` takes, or the problem "expected …". An absent or empty value is undefined,
 * so that its default applies.
 */
export function field<Value>(
  expected: string,
  read: (value: unknown) => Value | undefined,
): ZodType<Value | undefined> {
  return z
    .unknown()
    .transform((value, context): Value | undefined => {
      if (value === undefined || value === null) return undefined;
      const result = read(value);
      if (result === undefined)
        context.issues.push({ code: 'custom', message: `expected ${expected}`, input: value });
      return result;
    })
    .optional();
}

/** The keys of an object schema, also behind optional, default and transform; empty for any other schema. */
export function keysOf(schema: unknown): string[] {
  let current = schema;
  for (let depth = 0; depth < 16; depth++) {
    const definition = (current as { _zod?: { def?: Record<string, unknown> } } | undefined)?._zod?.def;
    if (definition === undefined) return [];
    if (definition['type'] === 'object') return Object.keys(definition['shape'] as object);
    current = definition['innerType'] ?? definition['in'];
  }
  return [];
}

function schemaAt(schema: unknown, path: readonly PropertyKey[]): unknown {
  let current = schema;
  for (const part of path) {
    let definition = (current as { _zod?: { def?: Record<string, unknown> } } | undefined)?._zod?.def;
    while (definition && definition['type'] !== 'object' && definition['type'] !== 'array') {
      const inner = (definition['innerType'] ?? definition['in']) as
        { _zod?: { def?: Record<string, unknown> } } | undefined;
      definition = inner?._zod?.def;
    }
    if (!definition) return undefined;
    current =
      definition['type'] === 'array'
        ? definition['element']
        : (definition['shape'] as Record<string, unknown>)[String(part)];
  }
  return current;
}

/** The value at a path; undefined if there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) return undefined;
    current = (current as Record<PropertyKey, unknown>)[part];
  }
  return current;
}

/**
 * Checks a document against a schema; every issue becomes a problem with its line and key.
 * Returns undefined if there was any.
 */
export function checkDocument<Value>(
  document: ConfigDocument,
  schema: ZodType<Value>,
  findings: Findings,
): Value | undefined {
  const result = schema.safeParse(document.value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      const known = keysOf(schemaAt(schema, issue.path));
      for (const key of issue.keys) {
        const path = [...issue.path, key];
        findings.problem(
          document.file,
          document.lineOf(path),
          keyText(path),
          `unknown key; ${hint(key, known)}`,
        );
      }
      continue;
    }
    const found = document.isHidden(issue.path)
      ? 'the value of an environment variable'
      : describe(valueAt(document.value, issue.path));
    const message = `${issueText(issue)}, found ${found}`;
    findings.problem(document.file, document.lineOf(issue.path), keyText(issue.path), message);
  }
  return undefined;
}

const TYPE_NAMES: Record<string, string> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'text',
};

/** A zod issue as "expected …". */
export function issueText(issue: z.core.$ZodIssue): string {
  // A message of the schema's own is the better one; zod's own start like this.
  const standard = /^(?:Invalid [a-z]+|Too small|Too big|Unrecognized keys?)(?:: (.*))?$/s.exec(
    issue.message,
  );
  if (standard === null) return issue.message;
  if (issue.code === 'invalid_type') return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map(String).join(', ')}`;
  const rest = standard[1] ?? issue.message;
  return rest.startsWith('expected') ? rest : `expected a value that passes the check (${rest})`;
}
