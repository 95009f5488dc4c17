import { metadataValue } from '../../config/types.js';
import type { ComponentConfig } from '../../config/types.js';
import { Code, OperationError } from '../errors.js';

/** Stands between prefix and key, in Dapr's and Layotto's stores alike. */
const SEPARATOR = '||';

/** Who the keys belong to. */
export interface KeyOwner {
  appId: string;
  /** The environment's NAMESPACE; empty if there is none. */
  namespace: string;
}

/**
 * What stands before each key of a store, separator included; empty for none. The metadata key `keyPrefix` chooses:
 * `appid`, `name` (of the store), `namespace` (`<namespace>.<appid>`, without a namespace as `appid`), `none`, or any
 * other text as it is. Its default is the app id, except in Layotto's form, where it is none.
 */
export function keyPrefix(component: ComponentConfig, { appId, namespace }: KeyOwner): string {
  const fallback = component.form === 'layotto' ? 'none' : 'appid';
  const strategy = metadataValue(component.metadata, 'keyPrefix') || fallback;
  switch (strategy.toLowerCase()) {
    case 'none':
      return '';
    case 'name':
      return component.name + SEPARATOR;
    case 'appid':
      return withSeparator(appId);
    case 'namespace':
      return withSeparator(namespace !== '' && appId !== '' ? `${namespace}.${appId}` : appId);
    default:
      return strategy + SEPARATOR;
  }
}

function withSeparator(prefix: string): string {
  return prefix === '' ? '' : prefix + SEPARATOR;
}

/** The keys, as calls name them, of those stored ones that are a component's own. */
export function calledKeys(component: ComponentConfig, owner: KeyOwner, stored: readonly string[]): string[] {
  const prefix = keyPrefix(component, owner);
  return stored.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

/** @throws OperationError INVALID_ARGUMENT if the key holds the separator, which would let it name another's key */
export function storedKey(prefix: string, key: string): string {
  if (key.includes(SEPARATOR)) {
    throw new OperationError(Code.INVALID_ARGUMENT, `input key/keyPrefix '${key}' can't contain '||'`);
  }
  return prefix + key;
}
