// Numbers of the proxy-wasm ABI v0.2.1 that host calls and callbacks use.

/** What a header or body callback tells Envoy to do with the stream (proxy_action_t). */
export enum Action {
  Continue = 0,
  /** Headers: wait (with `allow_on_headers_stop_iteration`, body callbacks still run). Body: wait and buffer. */
  Pause = 1,
}

export enum HeaderMap {
  RequestHeaders = 0,
  RequestTrailers = 1,
  ResponseHeaders = 2,
  ResponseTrailers = 3,
  GrpcReceiveInitialMetadata = 4,
  GrpcReceiveTrailingMetadata = 5,
  HttpCallResponseHeaders = 6,
  HttpCallResponseTrailers = 7,
}

export enum Buffer {
  RequestBody = 0,
  ResponseBody = 1,
  HttpCallResponseBody = 4,
  GrpcReceive = 5,
  VmConfiguration = 6,
  PluginConfiguration = 7,
}

export enum LogLevel {
  Trace = 0,
  Debug = 1,
  Info = 2,
  Warn = 3,
  Error = 4,
  Critical = 5,
}
