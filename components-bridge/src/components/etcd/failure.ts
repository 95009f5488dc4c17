import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

/** No member can be reached, or the one that was asked has no leader. The message names the address and the reason. */
export class EtcdUnavailable extends Error {
  override name = 'EtcdUnavailable';
}

/** etcd answered that it does not do what it was asked. */
export class EtcdRefused extends Error {
  override name = 'EtcdRefused';

  /** @param code of gRPC */
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** What every answer of etcd itself, and none of the transport, begins with. */
const FROM_ETCD = /^(etcdserver|auth|lease|mvcc): /;

/** Codes of a transport that failed; whether the request was performed is not known. */
const BROKEN: readonly status[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.INTERNAL,
  status.UNAVAILABLE,
];

/**
 * What a failed call means.
 *
 * @param address of the server
 * @param tls whether it was spoken to by TLS
 */
export function failureOf(
  { code, details }: Pick<ServiceError, 'code' | 'details'>,
  address: string,
  tls: boolean,
): EtcdUnavailable | EtcdRefused {
  const ofEtcd = FROM_ETCD.test(details);
  if (code === status.UNAVAILABLE || (!ofEtcd && BROKEN.includes(code))) {
    return new EtcdUnavailable(`${address}: ${ofEtcd ? details : transportReason(code, details, tls)}`);
  }
  return new EtcdRefused(code, details);
}

/** Why a connection failed, for people, with the fix where there is one. */
function transportReason(code: status, details: string, tls: boolean): string {
  if (code === status.DEADLINE_EXCEEDED) {
    return /waiting for|Waiting for LB pick/.test(details) ? 'no connection in time' : 'no answer in time';
  }
  // grpc-js: "No connection established. Last error: <what Node said>. Resolution note: …"
  const last = /Last error: (.*?)\.?(?: Resolution note:.*)?$/s.exec(details)?.[1] ?? details;
  const reason = last.replace(/^Error: | \(\d{4}-[^)]*\)/g, '').split('\n')[0] ?? '';
  if (!tls) {
    const closed = /Failed to connect|ECONNRESET|socket hang up/.test(reason);
    return closed ? `${reason}; if it speaks TLS, set tlsEnable` : reason;
  }
  if (/self[- ]signed|unable to (verify|get)|unknown ca/i.test(reason))
    return `${reason}; if a private CA signed the certificate, name it in ca`;
  if (/altnames/i.test(reason))
    return `${reason}; if the certificate holds another name, give it in tlsServerName`;
  if (/wrong version number|packet length too long/i.test(reason))
    return `${reason}; if the port does not speak TLS, leave out tlsEnable`;
  if (/certificate required|bad certificate|handshake failure/i.test(reason))
    return `the server refused the client's certificate; check cert and key (${reason})`;
  return reason;
}
