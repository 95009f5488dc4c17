import type { SecretAccess } from '../../config/types.js';

/**
 * Whether the app may have a secret, by Dapr's rules: if any secrets are allowed by name, only these; else all but
 * those that are denied, and these only if the default is to allow.
 *
 * @param access undefined: the store has no rules
 */
export function mayRead(access: SecretAccess | undefined, name: string): boolean {
  if (access === undefined) return true;
  if (access.allowed.length > 0) return access.allowed.includes(name);
  return access.default === 'allow' && !access.denied.includes(name);
}
