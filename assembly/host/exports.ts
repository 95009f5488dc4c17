// What a module's entry file re-exports (`export * from '…/host/exports'`), so
// that the host finds its callbacks.

export * from './dispatch';
export { proxy_on_memory_allocate } from './memory';
