import type { CompiledRule } from './types.js';

/** Which topics of a broker apps may use, see the configuration's own type of that name. */
export interface TopicScopes {
  allowed: readonly string[];
  protected: readonly string[];
  publishing: Readonly<Record<string, readonly string[]>>;
  subscription: Readonly<Record<string, readonly string[]>>;
}

/** Operations that publish, and those that subscribe. */
const PUBLISH = ['BulkPublishEvent', 'PublishDelayMessage', 'PublishEvent'];
const SUBSCRIBE = ['SubscribeTopicEvents'];

/**
 * Dapr's rules about topics: where any are allowed by name, only these are; an app that has scopes may use what they
 * name; a protected topic may be used only where scopes name it.
 */
export function rulesOfTopics(component: string, scopes: TopicScopes, appId: string): CompiledRule[] {
  return [
    ...ruleOf(component, PUBLISH, scopes, scopedTo(scopes.publishing, appId)),
    ...ruleOf(component, SUBSCRIBE, scopes, scopedTo(scopes.subscription, appId)),
  ];
}

function scopedTo(
  scopes: Readonly<Record<string, readonly string[]>>,
  appId: string,
): readonly string[] | undefined {
  return Object.hasOwn(scopes, appId) ? scopes[appId] : undefined;
}

function ruleOf(
  component: string,
  operations: readonly string[],
  { allowed, protected: kept }: TopicScopes,
  scoped: readonly string[] | undefined,
): CompiledRule[] {
  const rule: CompiledRule = {
    name: `topics:${component}`,
    deny: true,
    ofStore: true,
    primitives: ['pubsub'],
    operations: [...operations],
    components: [component],
  };
  if (scoped !== undefined) {
    const both = scoped.filter((topic) => allowed.length === 0 || allowed.includes(topic));
    return [{ ...rule, otherTopics: both }];
  }
  if (allowed.length > 0) return [{ ...rule, otherTopics: allowed.filter((topic) => !kept.includes(topic)) }];
  return kept.length === 0 ? [] : [{ ...rule, topics: [...kept] }];
}
