// All of the host layer by one name, for whoever installs it as a package. The
// callbacks that the host looks for are an entry file's own: `export * from
// 'layotto-proxy-wasm/exports'`.

export * from './bytes';
export * from './callout';
export * from './clock';
export { GrpcStream, handOver, HttpContext, registerRoot, RootContext } from './context';
export * from './enums';
export * from './headers';
export * from './log';
export { allocate, HEADROOM, release } from './memory';
export * from './metrics';
export * from './properties';
export * from './shared-data';
export * from './status';
export * from './stream';
