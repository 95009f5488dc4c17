import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { functionBuild, functionPush } from './function-commands.js';
import { UsageError, UserError } from './errors.js';

it('a source that is not there is said to be missing, not to be full of errors', async () => {
  await expect(functionBuild({}, ['nowhere/visits.ts'])).rejects.toThrow(
    new UserError('nowhere/visits.ts: no such file'),
  );
});

it('what the compiler says of a source is all that is said', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'layotto-build-'));
  try {
    const path = join(folder, 'wrong.ts');
    writeFileSync(path, 'let count: i32 = "a";\n');
    const failure = await functionBuild({}, [path]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    const lines = (failure as UserError).message.split('\n');
    expect(lines[0]).toBe(
      `${path}: ERROR TS2322: Type '~lib/string/String' is not assignable to type 'i32'.`,
    );
    expect(lines.at(-1)).toMatch(/└─ in wrong\.ts\(1,18\)$/);
    expect(existsSync(join(folder, 'wrong.wasm'))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('what is no source is not compiled', async () => {
  await expect(functionBuild({}, ['visits.wasm'])).rejects.toThrow(
    new UsageError("a function's source ends in .ts, not 'visits.wasm'"),
  );
});

it('a source is not pushed: it says what makes a module of it', async () => {
  await expect(functionPush({ id: 'visits' }, ['visits.ts'])).rejects.toThrow(
    new UsageError("visits.ts is a function's source; layotto function build visits.ts makes a module of it"),
  );
});
