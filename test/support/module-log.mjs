/**
 * Notes what a program imports: `node --import ./module-log.mjs program`, with the file to note it in as MODULE_LOG. A
 * URL per line; what CommonJS packages require within themselves is not among them.
 */
import { appendFileSync } from 'node:fs';
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

// The hooks are this file too, on a thread of their own.
if (isMainThread) register(import.meta.url);

export async function load(url, context, next) {
  appendFileSync(process.env.MODULE_LOG, `${url}\n`);
  return next(url, context);
}
