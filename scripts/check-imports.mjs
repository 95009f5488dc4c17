/**
 * Checks that imports point one way. Every relative import is resolved to the folder it reaches, and that folder must
 * be one that the importing folder may know. Tests (`*.spec.ts`) may import what they like.
 */
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import { filesUnder, root } from './lib/tree.mjs';

const BRIDGE = 'components-bridge/src';
const BASE = ['assembly/host', 'assembly/wire'];
const CONFIGURED = [...BASE, 'assembly/config'];
const ROOMS = [
  'assembly/session',
  'assembly/dialects',
  'assembly/primitives',
  'assembly/policy',
  'assembly/metrics',
  'assembly/cache',
];
const PIPELINE = [...CONFIGURED, ...ROOMS];

/**
 * Folder (or file) → the folders it may import from, besides itself. The longest name that fits a file counts.
 * assembly: modules → root → pipeline → primitives → dialects | policy | session → wire | host; the primitives know
 * the dialects because what a message looks like through a door stands with the primitive.
 * bridge: server → primitives ← components; server → doors → primitives, for the doors that the bridge serves itself;
 * server and primitives know telemetry; config imports none of them.
 */
const MAY_IMPORT = {
  'assembly/host': [],
  'assembly/wire': [],
  'assembly/config': ['assembly/wire'],
  'assembly/session': BASE,
  'assembly/policy': [...CONFIGURED, 'assembly/dialects', 'assembly/metrics'],
  'assembly/dialects': CONFIGURED,
  'assembly/primitives': [...CONFIGURED, 'assembly/dialects'],
  'assembly/metrics': [...CONFIGURED, 'assembly/dialects'],
  'assembly/cache': CONFIGURED,
  'assembly/call-site.ts': PIPELINE,
  'assembly/envoy-replies.ts': PIPELINE,
  'assembly/refusals.ts': PIPELINE,
  'assembly/passed-stream.ts': [...PIPELINE, 'assembly/call-site.ts', 'assembly/envoy-replies.ts'],
  'assembly/request-head.ts': BASE,
  'assembly/passed-invocation.ts': [
    ...PIPELINE,
    'assembly/call-site.ts',
    'assembly/envoy-replies.ts',
    'assembly/request-head.ts',
  ],
  'assembly/on-invoke-call.ts': [
    ...PIPELINE,
    'assembly/call-site.ts',
    'assembly/passed-invocation.ts',
    'assembly/refusals.ts',
  ],
  'assembly/wrapped-call.ts': [
    ...PIPELINE,
    'assembly/call-site.ts',
    'assembly/envoy-replies.ts',
    'assembly/passed-invocation.ts',
    'assembly/refusals.ts',
    'assembly/request-head.ts',
  ],
  'assembly/call-reply.ts': [
    ...PIPELINE,
    'assembly/call-site.ts',
    'assembly/envoy-replies.ts',
    'assembly/refusals.ts',
  ],
  'assembly/call-asking.ts': [...PIPELINE, 'assembly/call-reply.ts', 'assembly/refusals.ts'],
  'assembly/pipeline.ts': [
    ...PIPELINE,
    'assembly/call-site.ts',
    'assembly/call-asking.ts',
    'assembly/call-reply.ts',
    'assembly/on-invoke-call.ts',
    'assembly/passed-invocation.ts',
    'assembly/passed-stream.ts',
    'assembly/refusals.ts',
    'assembly/wrapped-call.ts',
  ],
  'assembly/version.ts': [],
  'assembly/root.ts': [...PIPELINE, 'assembly/call-site.ts', 'assembly/pipeline.ts', 'assembly/version.ts'],
  'assembly/describe.ts': [...PIPELINE, 'assembly/root.ts', 'assembly/version.ts'],
  'assembly/outbound': [...PIPELINE, 'assembly/envoy-replies.ts'],
  'assembly/function': [...PIPELINE, 'assembly/version.ts'],
  'assembly/modules': [...PIPELINE, 'assembly/describe.ts', 'assembly/root.ts', 'assembly/outbound'],
  [BRIDGE]: [BRIDGE],
  [`${BRIDGE}/gen`]: [],
  [`${BRIDGE}/policy`]: [],
  [`${BRIDGE}/config`]: [`${BRIDGE}/policy`],
  [`${BRIDGE}/telemetry`]: [`${BRIDGE}/config`],
  [`${BRIDGE}/primitives`]: [`${BRIDGE}/gen`, `${BRIDGE}/config`, `${BRIDGE}/policy`, `${BRIDGE}/telemetry`],
  [`${BRIDGE}/components`]: [`${BRIDGE}/gen`, `${BRIDGE}/config`, `${BRIDGE}/primitives`],
  [`${BRIDGE}/doors`]: [`${BRIDGE}/gen`, `${BRIDGE}/config`, `${BRIDGE}/policy`, `${BRIDGE}/primitives`],
  [`${BRIDGE}/server`]: [
    `${BRIDGE}/gen`,
    `${BRIDGE}/config`,
    `${BRIDGE}/doors`,
    `${BRIDGE}/policy`,
    `${BRIDGE}/primitives`,
    `${BRIDGE}/telemetry`,
  ],
  envoy: [`${BRIDGE}/config`, `${BRIDGE}/policy`, `${BRIDGE}/catalog.ts`],
  'cli/src': [`${BRIDGE}/config`, `${BRIDGE}/telemetry/secrets.ts`, `${BRIDGE}/catalog.ts`, 'envoy', 'tools'],
};

const problems = [];
const isSource = (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts');
const files = ['assembly', BRIDGE, 'envoy', 'cli/src'].flatMap((folder) => filesUnder(folder, isSource));
for (const file of files) check(file);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);

function check(file) {
  const from = roomOf(file);
  if (!from) return problems.push(`${file}: its folder is not in the table of scripts/check-imports.mjs`);
  const text = readFileSync(join(root, file), 'utf8');
  for (const match of text.matchAll(/(?:^|[\s;}])(?:from|import)\s*\(?\s*['"](\.[^'"]*)['"]/g)) {
    const target = posix.join(posix.dirname(file), match[1]).replace(/\.js$/, '.ts');
    const to = roomOf(target) ?? roomOf(`${target}.ts`) ?? posix.dirname(target);
    if (to === from || inside(target, from) || MAY_IMPORT[from].some((allowed) => inside(target, allowed)))
      continue;
    const line = text.slice(0, match.index + 1).split('\n').length;
    problems.push(`${file}:${line}: ${from} must not import from ${to}`);
  }
}

/** The entry of the table that a file belongs to. */
function roomOf(file) {
  const rooms = Object.keys(MAY_IMPORT).filter((room) => inside(file, room));
  return rooms.sort((a, b) => b.length - a.length)[0];
}

function inside(file, room) {
  return file === room || file === room.replace(/\.ts$/, '') || file.startsWith(`${room}/`);
}
