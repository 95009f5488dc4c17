/**
 * Lets Node run this project's TypeScript as it stands, for programs of the tests that are no jest suites:
 *
 *   node --import ./scripts/lib/typescript.mjs test/fuzz/main.ts
 *
 * Types are stripped, not checked, and an import of `./x.js` finds `./x.ts`.
 */
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
