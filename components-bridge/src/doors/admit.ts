import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http2';
import { isIP } from 'node:net';

import { Code } from '../primitives/errors.js';
import type { Method } from './method.js';
import type { Refused } from './refused.js';

/** Who may call. */
export interface Access {
  /** Names allowed as host, beside localhost and IP addresses. */
  hosts: readonly string[];
  /** Tokens of which a call must carry one; none are needed if it is empty. Empty strings do not count. */
  apiTokens: readonly string[];
}

/** A call that is about to be served. */
export interface Admission {
  headers: IncomingHttpHeaders;
  /** What it calls. */
  method: Method;
  /** The component that it is about; absent for streams, whose messages say it one by one. */
  component?: string;
}

/** Decides which calls are served. Every call passes `checkHead` before it is read, and `admit` before it is done. */
export class Policy {
  readonly #hosts: ReadonlySet<string>;
  readonly #tokens: readonly Buffer[];

  constructor({ hosts, apiTokens }: Access) {
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
    if (exempt || !this.guarded || this.#holdsToken(headers['dapr-api-token'])) return undefined;
    return { code: Code.UNAUTHENTICATED, message: 'Unauthorized' };
  }

  /** Whether a call may be done. Rules by primitive, operation and component belong here. */
  admit(_call: Admission): Refused | undefined {
    return undefined;
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

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
