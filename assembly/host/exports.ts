// What a module's entry file re-exports (`export * from '…/host/exports'`), so
// that the host finds its callbacks.

// Compiled in so that `--use abort=assembly/host/log/abort` finds the abort handler.
import './log';

export * from './dispatch';
export { proxy_on_memory_allocate } from './memory';
