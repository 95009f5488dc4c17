// What the APIs offer and this version does not serve: a call to it is told
// so, and does not look like a typing error. An entry of which some methods are
// served is met by the others only, because the router is asked first.

import { Exchange } from './exchange';
import { literal, View, viewEquals, viewStartsWith } from '../wire/view';

class Unserved {
  readonly start: View;

  constructor(
    start: string,
    /** What is missing, for people. */
    readonly what: string,
  ) {
    this.start = literal(start);
  }
}

const EXTENSION = '/spec.proto.extension.v1.';
const LAYOTTO = '/spec.proto.runtime.v1.Runtime/';
const DAPR = '/dapr.proto.runtime.v1.Dapr/';

/** By the beginning of the method's path; the first that fits counts. */
const GRPC: StaticArray<Unserved> = [
  new Unserved(EXTENSION + 's3.ObjectStorageService/', 'object storage'),
  new Unserved(EXTENSION + 'cryption.CryptionService/', 'encryption'),
  new Unserved(EXTENSION + 'email.EmailService/', 'email'),
  new Unserved(EXTENSION + 'phone.PhoneCallService/', 'calling phones'),
  new Unserved(EXTENSION + 'sms.SmsService/', 'sending text messages'),
  new Unserved(LAYOTTO + 'InvokeService', 'service invocation'),
  new Unserved(DAPR + 'InvokeService', 'service invocation'),
  new Unserved(DAPR + 'QueryState', 'querying state'),
  new Unserved(DAPR + 'InvokeActor', 'actors'),
  new Unserved(DAPR + 'GetActor', 'actors'),
  new Unserved(DAPR + 'ListActor', 'actors'),
  new Unserved(DAPR + 'RegisterActor', 'actors'),
  new Unserved(DAPR + 'UnregisterActor', 'actors'),
  new Unserved(DAPR + 'ExecuteActor', 'actors'),
  new Unserved(DAPR + 'SubscribeActor', 'actors'),
  new Unserved(DAPR + 'Subtle', 'cryptography'),
  new Unserved(DAPR + 'EncryptAlpha', 'cryptography'),
  new Unserved(DAPR + 'DecryptAlpha', 'cryptography'),
  new Unserved(DAPR + 'StartWorkflow', 'workflows'),
  new Unserved(DAPR + 'GetWorkflow', 'workflows'),
  new Unserved(DAPR + 'PurgeWorkflow', 'workflows'),
  new Unserved(DAPR + 'TerminateWorkflow', 'workflows'),
  new Unserved(DAPR + 'PauseWorkflow', 'workflows'),
  new Unserved(DAPR + 'ResumeWorkflow', 'workflows'),
  new Unserved(DAPR + 'RaiseEventWorkflow', 'workflows'),
  new Unserved(DAPR + 'ScheduleJob', 'jobs'),
  new Unserved(DAPR + 'GetJob', 'jobs'),
  new Unserved(DAPR + 'DeleteJob', 'jobs'),
  new Unserved(DAPR + 'ListJobs', 'jobs'),
  new Unserved(DAPR + 'Converse', 'conversation'),
  new Unserved(DAPR + 'Shutdown', 'ending the runtime through its API'),
];

/** By the segment after the version in an HTTP path. */
const HTTP: StaticArray<Unserved> = [
  new Unserved('invoke', 'service invocation'),
  new Unserved('configuration', 'this configuration call'),
  new Unserved('actors', 'actors'),
  new Unserved('reminders', 'actors'),
  new Unserved('workflows', 'workflows'),
  new Unserved('jobs', 'jobs'),
  new Unserved('crypto', 'cryptography'),
  new Unserved('subtlecrypto', 'cryptography'),
  new Unserved('conversation', 'conversation'),
  new Unserved('shutdown', 'ending the runtime through its API'),
  new Unserved('oss', 'object storage'),
  new Unserved('cryption', 'encryption'),
  new Unserved('delay_queue', 'the delay queue'),
  new Unserved('email', 'email'),
  new Unserved('phone', 'calling phones'),
  new Unserved('sms', 'sending text messages'),
];

/** What a gRPC method belongs to that is not served; empty if it is none that the APIs have. */
export function unservedGrpc(path: View): string {
  for (let i = 0; i < GRPC.length; i++) {
    if (viewStartsWith(path, GRPC[i].start)) return GRPC[i].what;
  }
  return '';
}

/** The same of a family of HTTP paths. */
export function unservedHttp(family: View): string {
  for (let i = 0; i < HTTP.length; i++) {
    if (viewEquals(family, HTTP[i].start)) return HTTP[i].what;
  }
  return '';
}

/** What HTTP callers are told. @param missing what `unservedHttp` found */
export function unservedText(exchange: Exchange, missing: string): View {
  const text = exchange.writer();
  text.text('this API is currently not implemented: ');
  text.text(missing);
  text.text(' is not served by this version');
  return text.view();
}
