import { reasonOf } from '../../primitives/errors.js';

/** The server cannot be reached, or says that it is not the one to ask. The message names it and the reason. */
export class RedisUnavailable extends Error {
  override name = 'RedisUnavailable';
}

/** A write was done on the primary, but not enough replicas confirmed it in time. */
export class RedisUnconfirmed extends Error {
  override name = 'RedisUnconfirmed';
}

/** Answers by which a server says that it is not (yet, or any more) the one to ask. Nothing was done then. */
const NOT_THE_ONE = new Set([
  'LOADING',
  'MASTERDOWN',
  'READONLY',
  'CLUSTERDOWN',
  'BUSY',
  'NOREPLICAS',
  'UNBLOCKED',
]);

/**
 * The code of what a server answered, such as `WRONGTYPE`; undefined if it did not answer at all. Redis before 7
 * wraps what a command of a script answered.
 */
export function answerCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined;
  const wrapped = /^ERR Error running script .*?: -([A-Z]+) /.exec(error.message);
  return wrapped?.[1] ?? /^[A-Z]*/.exec(error.message)?.[0];
}

/**
 * What a failed command means: a RedisUnavailable, or what it was: an answer to the command.
 *
 * @param address of the server
 * @param lostReason why there is no connection to it, address included
 */
export function failureOf(error: unknown, address: string, lostReason: () => string): unknown {
  if (error instanceof RedisUnavailable || error instanceof RedisUnconfirmed) return error;
  const code = answerCode(error);
  if (code === undefined) return new RedisUnavailable(lostReason(), { cause: error });
  if (NOT_THE_ONE.has(code)) return new RedisUnavailable(`${address}: ${reasonOf(error)}`, { cause: error });
  return error;
}

/** What a server answered, for people, with the fix where there is one. */
export function refusalText(error: unknown): string {
  const advice =
    answerCode(error) === 'MOVED' ? '; this server is part of a cluster, set redisType: cluster' : '';
  return reasonOf(error) + advice;
}

const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/**
 * Why a connection failed, for people, with the fix where there is one.
 *
 * @param error undefined if it was closed without one
 * @param tls whether it spoke TLS
 */
export function connectionReason(error: unknown, tls: boolean): string {
  if (error === undefined) {
    const advice = tls
      ? 'it asks for client certificates, check clientCert and clientKey'
      : 'it speaks TLS, set enableTLS';
    return `the server closed the connection at once; if ${advice}`;
  }
  const reason = reasonOf(error).trim();
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!tls) return reason;
  if (UNTRUSTED.has(code)) return `${reason}; if a private CA signed the certificate, name it in caCert`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `${reason} If the certificate holds another name, give it in tlsServerName`;
  if (code === 'ETIMEDOUT' || /wrong version number|packet length too long/i.test(reason))
    return `${reason}; if the port does not speak TLS, leave out enableTLS`;
  if (/certificate required|handshake failure|bad certificate|unknown ca/i.test(reason))
    return `the server refused the client's certificate; check clientCert and clientKey (${reason})`;
  return reason;
}
