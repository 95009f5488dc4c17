import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

import * as z from 'zod';

import { OPERATIONS } from '../policy/operations.js';
import type { DraftPrimitive } from './draft.js';
import { halfFiles } from './half-files.js';
import { socketPathTooLong } from './limits.js';
import { describe } from './problems.js';
import type { CatalogEntry, OwnPrimitive } from './types.js';

/** What says what the bridge half in a folder serves; `layotto primitive build` writes it. */
export const DESCRIPTION = 'primitive.json';

const MOST_BYTES = 1024 * 1024;
const MOST_OPERATIONS = 64;

/** Primitives that a later version may have, and names that stand for something else. */
const TAKEN = ['invoke', 'pubsub', 'unknown'];
/** Packages whose services are the runtime's own. */
const TAKEN_PACKAGES = ['dapr.', 'grpc.', 'layotto.bridge.', 'spec.proto.'];

const description = z.object({
  schema: z.literal(1, 'expected 1, the form that this version reads'),
  primitive: z
    .string()
    .regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, 'expected small letters, digits and single dashes')
    .max(63),
  service: z.string().regex(/^(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$/, 'expected a full name such as a.v1.Service'),
  operations: z
    .array(
      z.object({
        name: z.string().regex(/^[A-Za-z]\w{0,62}$/, "expected a method's name"),
        component: z.string().regex(/^\w{1,64}$/, "expected a field's name"),
      }),
    )
    .min(1)
    .max(MOST_OPERATIONS),
  descriptors: z.string().min(1),
  openapi: z
    .object({
      tag: z.object({ name: z.string(), description: z.string() }),
      paths: z.record(z.string(), z.unknown()),
      schemas: z.record(z.string(), z.unknown()),
    })
    .optional(),
});

/** What a description says. */
export type Description = z.infer<typeof description>;

/** The form of a component's type that is a path, and not one of the catalog. */
export function isPath(type: string): boolean {
  return /^\.{0,2}\//.test(type);
}

/** Something wrong with a primitive of one's own, for people. */
export class OwnPrimitiveError extends Error {}

/**
 * Reads what a folder says of the primitive whose bridge half it is. Nothing in it is run.
 *
 * @throws OwnPrimitiveError naming the file, and what to do
 */
export function readDescription(folder: string): Description & { text: string } {
  const file = join(folder, DESCRIPTION);
  let text: string;
  try {
    if (statSync(file).size > MOST_BYTES) throw new OwnPrimitiveError(`${file} is larger than 1 MiB`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof OwnPrimitiveError) throw error;
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    throw new OwnPrimitiveError(
      missing
        ? `there is no ${file}; "layotto primitive build" writes it`
        : `${file} cannot be read: ${code}`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OwnPrimitiveError(`${file} is not JSON; have "layotto primitive build" write it again`);
  }
  const result = description.safeParse(json);
  const issue = result.error?.issues[0];
  if (issue !== undefined) {
    const key = issue.path.map(String).join('.');
    throw new OwnPrimitiveError(`${file}: ${key === '' ? '' : `${key}: `}${issue.message}`);
  }
  const found = result.data as Description;
  const wrong = nameProblem(found.primitive, found.service);
  if (wrong !== undefined) throw new OwnPrimitiveError(`${file}: ${wrong}`);
  return { ...found, text };
}

/** What the operations of such primitives add to the document that describes the HTTP doors. */
export type OpenApiPart = NonNullable<Description['openapi']>;

/**
 * The part of a primitive whose bridge half is in a folder, as it is now; undefined if there is none that can be read.
 * What would stand in another primitive's place is left out.
 */
export function openApiPartOf(folder: string): OpenApiPart | undefined {
  let found: Description;
  try {
    found = readDescription(folder);
  } catch {
    return undefined;
  }
  const { primitive, openapi } = found;
  if (openapi === undefined) return undefined;
  const within = (record: Record<string, unknown>, prefix: string): Record<string, unknown> =>
    Object.fromEntries(Object.entries(record).filter(([key]) => key.startsWith(prefix)));
  return {
    tag: { ...openapi.tag, name: primitive },
    paths: within(openapi.paths, `/v1.0-layotto/${primitive}/`),
    schemas: within(openapi.schemas, `${primitive}.`),
  };
}

/** Why a primitive cannot be called so; undefined if it can. */
export function nameProblem(primitive: string, service: string): string | undefined {
  if (Object.hasOwn(OPERATIONS, primitive) || TAKEN.includes(primitive))
    return `the primitive ${describe(primitive)} is the runtime's own; choose another name`;
  const taken = TAKEN_PACKAGES.find((name) => service.startsWith(name));
  if (taken !== undefined) return `services of ${taken}* are the runtime's own; choose another package`;
  return undefined;
}

/**
 * The bridge half that a component's type leads to.
 *
 * @param folder absolute
 * @param socket where a process serves it, absolute; undefined: the module in the folder does
 * @throws OwnPrimitiveError that says what is wrong
 */
export function readOwnPrimitive(folder: string, socket: string | undefined): DraftPrimitive {
  const { primitive, service, operations, text } = readDescription(folder);
  const hash = createHash('sha256').update(text);
  if (socket === undefined) {
    const files = halfFiles(folder);
    const [half] = files;
    if (half?.content === undefined) {
      const message = `there is no ${half?.path ?? folder}; write it, or say by "socket" where a process serves ${primitive}`;
      throw new OwnPrimitiveError(message);
    }
    for (const { path, content } of files) hash.update(`\0${relative(folder, path)}\0`).update(content ?? '');
  } else if (socketPathTooLong(socket)) {
    throw new OwnPrimitiveError(`the socket's path is too long: ${socket}`);
  }
  const own: OwnPrimitive = { folder, service, operations, digest: hash.digest('hex').slice(0, 16) };
  if (socket !== undefined) own.socket = socket;
  return { primitive, own };
}

/** What stands for such a primitive in place of a catalog's entry. What its metadata must be, it says when it opens. */
export function entryOf({ primitive, own }: DraftPrimitive): CatalogEntry {
  return {
    type: `${primitive}.${own.socket === undefined ? 'module' : 'process'}`,
    primitive,
    capabilities: [],
    metadata: z.record(z.string(), z.string()),
    anyMetadata: true,
  };
}
