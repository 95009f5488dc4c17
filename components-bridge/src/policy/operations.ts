/**
 * The operations that calls can be about, by primitive: the names are the same behind every door, and those that
 * metrics show.
 */
export const OPERATIONS: Readonly<Record<string, readonly string[]>> = {
  actuator: ['GetLoggers', 'Info', 'Liveness', 'Readiness', 'SetLogger', 'UnknownHealth'],
  binding: ['InvokeBinding'],
  configuration: [
    'DeleteConfiguration',
    'GetConfiguration',
    'SaveConfiguration',
    'SubscribeConfiguration',
    'UnsubscribeConfiguration',
  ],
  file: ['DelFile', 'GetFile', 'GetFileMeta', 'ListFile', 'PutFile'],
  // Of functions: calls of them, and what they call beside the primitives.
  function: ['AskFunction', 'AskRuntime', 'CallFunction'],
  health: ['Healthz', 'OutboundHealthz'],
  hello: ['SayHello'],
  // Calls of the app that are not for the runtime, by method.
  http: ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'other'],
  // `Proxy`: gRPC calls of any service, to the app that their metadata names.
  invoke: ['InvokeService', 'Proxy'],
  lifecycle: ['ApplyConfiguration'],
  lock: ['LockKeepAlive', 'TryLock', 'Unlock'],
  metadata: ['GetAsyncApi', 'GetMetadata', 'GetOpenApi', 'SetMetadata'],
  pubsub: ['BulkPublishEvent', 'PublishDelayMessage', 'PublishEvent', 'SubscribeTopicEvents'],
  secret: ['GetBulkSecret', 'GetSecret'],
  sequencer: ['GetNextId'],
  state: [
    'DeleteBulkState',
    'DeleteState',
    'ExecuteStateTransaction',
    'GetBulkState',
    'GetState',
    'QueryState',
    'SaveState',
  ],
};
