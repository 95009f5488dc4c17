// What serves streams, loaded with the first of them. A part of its own, because a CommonJS package that is loaded by
// import() has its names only under `default` when the bridge is put together in one.
export { Server, ServerCredentials, ServerInterceptingCall } from '@grpc/grpc-js';
