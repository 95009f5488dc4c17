// The callbacks of a module that also passes streams on: how those end stands in
// their response trailers. Streams that it answers itself cost no call more.

export * from './exports-answering';
export { proxy_on_response_trailers } from './callbacks';
