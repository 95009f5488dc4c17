import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http2';
import { isIP } from 'node:net';

import { Code } from '../primitives/errors.js';
import type { Denial, Policy } from '../policy/policy.js';
import type { Caller } from '../policy/types.js';
import type { StreamSubject } from '../primitives/stream.js';
import { operationOf } from './method.js';
import type { Method } from './method.js';
import { withDetails } from './refused.js';
import type { Refused } from './refused.js';

/** Who may call. */
export interface Access {
  /** Names allowed as host, beside localhost and IP addresses. */
  hosts: readonly string[];
  /** Tokens of which a call must carry one; none are needed if it is empty. Empty strings do not count. */
  apiTokens: readonly string[];
}

/**
 * Decides which calls are served. Every call passes `checkHead` before it is read, `admit` with what its head says of
 * it, and `admit` again when it is known which component it is about, before anything is done. What may go on then
 * passes `spend`.
 */
export class Gate {
  readonly #hosts: ReadonlySet<string>;
  readonly #tokens: readonly Buffer[];

  constructor(
    { hosts, apiTokens }: Access,
    private readonly policy: Policy,
    private readonly appId: string,
  ) {
    this.#hosts = new Set(hosts.map((name) => name.toLowerCase()));
    this.#tokens = apiTokens.filter((token) => token !== '').map(digest);
  }

  /** Whether calls must carry a token. */
  get guarded(): boolean {
    return this.#tokens.length > 0;
  }

  /**
   * Who calls: no browsers, no foreign host names, and the API token where one is set.
   *
   * @param exempt a health probe, which carries no token
   */
  checkHead(headers: IncomingHttpHeaders, exempt: boolean): Refused | undefined {
    const denied = (message: string): Refused => ({ code: Code.PERMISSION_DENIED, message });
    if (headers.origin !== undefined) {
      return denied('requests from web pages (those with an Origin header) are refused');
    }
    if (!this.#isOwnHost(headers[':authority'] ?? headers.host ?? '')) {
      return denied(
        'this host name is not allowed: use localhost or an IP address, or add the name to listen.hosts',
      );
    }
    const token = headers['dapr-api-token'];
    if (exempt || !this.guarded || this.#holdsToken(token)) return undefined;
    return withoutToken(token === undefined || token === '');
  }

  /** Who calls: the app that the bridge serves. */
  get caller(): Caller {
    return { app: this.appId, spiffe: '' };
  }

  /**
   * Whether the app may call a method.
   *
   * @param component undefined: not known yet; empty: none
   * @param name of the secret or topic that is asked for, if it is one
   */
  admit(method: Method, component?: string, name?: string): Refused | undefined {
    const subject = { primitive: method.primitive, operation: operationOf(method), component, name };
    return refusalOf(this.policy.admit(this.caller, subject));
  }

  /** The same for what a stream is about. @param again it was admitted before the policy changed */
  admitStream(subject: StreamSubject, again = false): Refused | undefined {
    const named = { ...subject, name: undefined };
    const { policy, caller } = this;
    return refusalOf(again ? policy.denialOf(caller, named) : policy.admit(caller, named));
  }

  /**
   * Takes what the rate limits ask of a call that was admitted, once everything is known of it that will be.
   *
   * @param component empty: none; undefined: of a stream, of which it shows only later: limits that name components do
   *   not count it
   */
  spend(method: Method, component: string | undefined): Refused | undefined {
    const subject = {
      primitive: method.primitive,
      operation: operationOf(method),
      component,
      name: undefined,
    };
    const spent = this.policy.spend(this.caller, subject);
    if (spent === undefined) return undefined;
    const { limit, waitMs } = spent;
    return {
      code: Code.RESOURCE_EXHAUSTED,
      message: `too many calls: the limit "${limit}" of the policy is met; try again in ${waitMs} ms`,
      // RFC 9110, 10.2.3: whole seconds.
      headers: { 'retry-after': String(Math.ceil(waitMs / 1_000)) },
    };
  }

  #holdsToken(token: string | string[] | undefined): boolean {
    if (typeof token !== 'string' || token === '') return false;
    const given = digest(token);
    return this.#tokens.reduce((found, known) => timingSafeEqual(given, known) || found, false);
  }

  /** An IP address, localhost, or a name the configuration allows; a client on a Unix socket may name no host at all. */
  #isOwnHost(authority: string): boolean {
    if (authority === '' || authority.startsWith('[')) return true;
    const host = (/^[^:]*/.exec(authority)?.[0] ?? '').toLowerCase();
    return isIP(host) === 4 || host === 'localhost' || host.endsWith('.localhost') || this.#hosts.has(host);
  }
}

function refusalOf(denial: Denial | undefined): Refused | undefined {
  if (denial === undefined) return undefined;
  const refused = { code: Code.PERMISSION_DENIED, message: denial.message };
  return denial.ofComponent ? { ...refused, ofComponent: true } : refused;
}

/** As Dapr: with the answer of its HTTP API as a detail. */
function withoutToken(missing: boolean): Refused {
  const reason = 'Unauthorized';
  const said = missing ? 'missing api token in request metadata' : 'authentication error: api token mismatch';
  const metadata = { 'http.code': '401', 'http.error_message': said };
  return withDetails(Code.UNAUTHENTICATED, reason, { reason, metadata });
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
