#!/usr/bin/env node
// The command's entry. The real program is compiled; say so when it is not there.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../../dist/cli/src/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error('layotto: not built yet; run "make build" in the project folder first');
  process.exit(1);
}
await import(main.href);
