import { stringify } from 'yaml';

/**
 * Prints a configuration as YAML, without anchors and without folding long lines. Kubernetes and Envoy read YAML 1.1, to
 * which texts such as `no` are truth values, so these are quoted.
 */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' });
}
