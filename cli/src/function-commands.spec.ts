import { functionBuild, functionPush } from './function-commands.js';
import { UsageError, UserError } from './errors.js';

it('a source that is not there is said to be missing, not to be full of errors', async () => {
  await expect(functionBuild({}, ['nowhere/visits.ts'])).rejects.toThrow(
    new UserError('nowhere/visits.ts: no such file'),
  );
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
