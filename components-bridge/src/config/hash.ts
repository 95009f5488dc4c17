import { createHash } from 'node:crypto';

import { compilePolicy } from '../policy/compile.js';
import type { RuntimeConfig } from './types.js';

/**
 * A short hash of what filter and bridge must agree on: the app, the limits, the allowed hosts, the policy and which
 * components there are. It does not depend on the order in which keys were written, nor on the machine's paths.
 *
 * Component metadata stays out: the hash stands in Envoy's configuration, which a config dump shows, and a hash
 * over everything else and a weak password would let a reader test guesses of the password.
 *
 * @returns 16 hexadecimal digits
 */
export function configHash(config: RuntimeConfig): string {
  const agreed = {
    app: config.app,
    hosts: config.listen.hosts,
    limits: config.limits,
    policy: compilePolicy(config),
    components: config.components.map(({ name, type, version, primitive }) => ({
      name,
      type,
      version,
      primitive,
    })),
  };
  return createHash('sha256').update(canonical(agreed)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
