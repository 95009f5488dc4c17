import { asHostName, asPort } from './limits.js';
import type { InvokePattern } from './types.js';

/** What stands for the callee's app id, its namespace and the port. */
const PLACES = /\{(app|namespace|port)\}/g;

/**
 * Where apps without an entry among the callees are: the name of a mesh's cluster, such as
 * `outbound|{port}||{app}.{namespace}.svc.cluster.local`, or a name of DNS with a port, such as `{app}.internal:8080`.
 * Undefined if it is neither, or has no place for the app.
 */
export function asInvokePattern(value: unknown): InvokePattern | undefined {
  if (typeof value !== 'string' || value.length > 255 || !value.includes('{app}')) return undefined;
  // Braces that stand for nothing known are left.
  const sample = value.replace(PLACES, (_place, name: string) => (name === 'port' ? '80' : 'a'));
  if (/[{}\s]/.test(sample)) return undefined;
  if (value.includes('|'))
    return /^[a-z0-9_.|-]+$/.test(sample) ? { kind: 'cluster', text: value } : undefined;
  const match = /^(.+):(\d{1,5})$/.exec(sample);
  const fine = asHostName(match?.[1]) !== undefined && asPort(match?.[2], 1) !== undefined;
  return fine ? { kind: 'dns', text: value } : undefined;
}
