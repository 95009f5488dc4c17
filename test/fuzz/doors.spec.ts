import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child } from '../support/child.js';
import { DOORS } from './doors.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const loader = join(root, 'scripts/lib/typescript.mjs');
const program = join(root, 'test/fuzz/main.ts');

const INPUTS = 50_000;

const GRPC = ['gRPC 0', 'gRPC 3', 'gRPC 4', 'gRPC 7', 'gRPC 8', 'gRPC 10', 'gRPC 12', 'gRPC 13'];

/** Answers that each door must have given at least once: the inputs reach all of it. */
const REACHED = {
  'layotto-grpc': GRPC,
  'dapr-grpc': GRPC,
  'dapr-http': [
    'HTTP 200',
    'HTTP 204',
    'HTTP 400 ERR_MALFORMED_REQUEST',
    'HTTP 400 ERR_STATE_STORE_NOT_FOUND',
    'HTTP 400 as text',
    'HTTP 403 ERR_PERMISSION_DENIED',
    'HTTP 404 ERR_DIRECT_INVOKE',
    'HTTP 408 ERR_DEADLINE_EXCEEDED',
    'HTTP 500 ERR_STATE_SAVE',
    'HTTP 501 ERR_API_UNIMPLEMENTED',
    'not HTTP: 400 "Bad Request"',
  ],
  json: [
    'HTTP 200',
    'HTTP 400 FAILED_PRECONDITION',
    'HTTP 400 INVALID_ARGUMENT',
    'HTTP 403 PERMISSION_DENIED',
    'HTTP 404 NOT_FOUND',
    'HTTP 405 UNIMPLEMENTED',
    'HTTP 408 DEADLINE_EXCEEDED',
    'HTTP 413 RESOURCE_EXHAUSTED',
  ],
  session: ['gRPC 0', 'gRPC 3', 'gRPC 12', 'HTTP 405', 'HTTP 415'],
};

/** What Envoy may say by itself to what breaks HTTP's rules; a door's own answers are judged as such. */
const NOT_HTTP = [
  'not HTTP: 400',
  'not HTTP: 400 "400 Bad Request"',
  'not HTTP: 400 "Bad Request"',
  'not HTTP: 403',
  'not HTTP: 404',
  'not HTTP: 426 "Upgrade Required"',
  'not HTTP: 431',
  'not HTTP: 431 "Request Header Fields Too Large"',
  'not HTTP: 501 "Not Implemented"',
  'not HTTP: connection closed',
  'not HTTP: reset 1',
  'not HTTP: silence or closed',
];

test.each(DOORS)(
  `${INPUTS} hostile inputs on the door %s: each is answered, nothing breaks and nothing is left over`,
  async (door) => {
    // What `make fuzz` runs, in a process of its own: jest's own costs would be most of the time.
    const env = { DOOR: door, COUNT: String(INPUTS), SEED: process.env['SEED'] ?? '' };
    const child = new Child('fuzz', process.execPath, ['--no-warnings', '--import', loader, program], {
      env,
    });
    const code = await child.exited;
    if (code !== 0) throw new Error(child.tail(400));
    const kinds = [...child.log.matchAll(/^ +\d+ {2}(.*)$/gm)].map(([, kind]) => kind ?? '');
    expect(kinds).toEqual(expect.arrayContaining(REACHED[door]));
    expect(NOT_HTTP).toEqual(expect.arrayContaining(kinds.filter((kind) => kind.startsWith('not HTTP'))));
  },
  300_000,
);
