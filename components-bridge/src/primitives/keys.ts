import { metadataValue } from '../config/types.js';
import type { ComponentConfig } from '../config/types.js';
import { Code, OperationError } from './errors.js';

/** Stands between prefix and key, in Dapr's and Layotto's stores alike. */
const SEPARATOR = '||';

/** Who the keys belong to. */
export interface KeyOwner {
  appId: string;
  /** The environment's NAMESPACE; empty if there is none. */
  namespace: string;
}

/**
 * What stands before each key of a state store, separator included; empty for none. The metadata key `keyPrefix`
 * chooses: `appid`, `name` (of the store), `namespace` (`<namespace>.<appid>`, without a namespace as `appid`), `none`,
 * or any other text as it is. Its default is the app id, except in Layotto's form, where it is none.
 */
export function keyPrefix(component: ComponentConfig, { appId, namespace }: KeyOwner): string {
  const strategy = strategyOf(component) || (component.form === 'layotto' ? 'none' : 'appid');
  if (strategy.toLowerCase() === 'namespace')
    return withSeparator(namespace !== '' && appId !== '' ? `${namespace}.${appId}` : appId);
  return prefix(strategy, component, appId);
}

/**
 * What stands before each key of a lock store: `lock`, and a prefix that `keyPrefix` chooses as for state, except that
 * it knows no namespace and its default is the app id in every form. Dapr's separator after `lock` is `||`, Layotto's
 * is `|||`.
 */
export function lockPrefix(component: ComponentConfig, { appId }: KeyOwner): string {
  const separator = component.form === 'layotto' ? '|||' : SEPARATOR;
  return `lock${separator}${prefix(strategyOf(component) || 'appid', component, appId)}`;
}

/** What stands before each key of a sequencer, in Layotto's form, the only one there is. */
export function sequencerPrefix(component: ComponentConfig, { appId }: KeyOwner): string {
  return `sequencer|||${prefix(strategyOf(component) || 'appid', component, appId)}`;
}

function strategyOf({ metadata }: ComponentConfig): string {
  return metadataValue(metadata, 'keyPrefix') ?? '';
}

function prefix(strategy: string, component: ComponentConfig, appId: string): string {
  switch (strategy.toLowerCase()) {
    case 'none':
      return '';
    case 'name':
      return component.name + SEPARATOR;
    case 'appid':
      return withSeparator(appId);
    default:
      return strategy + SEPARATOR;
  }
}

function withSeparator(text: string): string {
  return text === '' ? '' : text + SEPARATOR;
}

/** The keys, as calls name them, of those stored ones that are a component's own. */
export function calledKeys(component: ComponentConfig, owner: KeyOwner, stored: readonly string[]): string[] {
  const own = keyPrefix(component, owner);
  return stored.filter((key) => key.startsWith(own)).map((key) => key.slice(own.length));
}

/** @throws OperationError INVALID_ARGUMENT if the key holds the separator, which would let it name another's key */
export function storedKey(before: string, key: string): string {
  if (key.includes(SEPARATOR)) {
    throw new OperationError(Code.INVALID_ARGUMENT, `input key/keyPrefix '${key}' can't contain '||'`);
  }
  return before + key;
}
