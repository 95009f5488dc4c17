import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { valueAt } from './schema.js';
import { hint } from './suggest.js';
import type { SecretAccess } from './types.js';

type Path = readonly PropertyKey[];

/** What the keys of one form are called. */
export interface AccessKeys {
  default: string;
  allowed: string;
  denied: string;
}

export const NATIVE_ACCESS: AccessKeys = { default: 'default', allowed: 'allowed', denied: 'denied' };
export const DAPR_ACCESS: AccessKeys = {
  default: 'defaultAccess',
  allowed: 'allowedSecrets',
  denied: 'deniedSecrets',
};

/**
 * Reads which secrets of a store the app may have. What is wrong is a problem: a rule that is not understood must not
 * become no rule.
 *
 * @param others keys that stand beside those of the rule
 */
export function readAccess(
  document: ConfigDocument,
  path: Path,
  keys: AccessKeys,
  findings: Findings,
  others: readonly string[] = [],
): SecretAccess | undefined {
  const problem = (at: Path, message: string): void =>
    findings.problem(document.file, document.lineOf(at), keyText(at), message);
  const value = valueAt(document.value, path);
  if (!isRecord(value)) {
    problem(
      path,
      `expected a map with ${keys.default}, ${keys.allowed} and ${keys.denied}, found ${describe(value)}`,
    );
    return undefined;
  }
  const known = [...others, ...Object.values<string>({ ...keys })];
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) problem([...path, key], `unknown key; ${hint(key, known)}`);
  }
  const names = (key: string): string[] => {
    const list = value[key];
    if (list === undefined || list === null) return [];
    const at = [...path, key];
    const texts = Array.isArray(list) ? list.map((_, index) => document.textOf([...at, index]) ?? '') : [''];
    if (!texts.includes('')) return texts;
    problem(at, `expected a list of secrets' names, found ${describe(list)}`);
    return [];
  };
  const written = document.textOf([...path, keys.default]) ?? '';
  const base = written === '' ? 'allow' : written.toLowerCase();
  if (base !== 'allow' && base !== 'deny') {
    problem([...path, keys.default], `expected allow or deny, found ${describe(value[keys.default])}`);
  }
  return {
    default: base === 'deny' ? 'deny' : 'allow',
    allowed: names(keys.allowed),
    denied: names(keys.denied),
  };
}
