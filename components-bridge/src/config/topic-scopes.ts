import type { DraftComponent, DraftValue } from './draft.js';
import { describe } from './problems.js';
import type { Findings } from './problems.js';
import type { TopicScopes } from './types.js';

/** Dapr's metadata keys, which every broker has. */
const LISTS = { allowedtopics: 'allowed', protectedtopics: 'protected' } as const;
const MAPS = { publishingscopes: 'publishing', subscriptionscopes: 'subscription' } as const;

/**
 * Takes the keys about topics out of a broker's metadata: they are the runtime's, whatever the broker. What is wrong is
 * a problem: a scope that is not understood must not become none.
 */
export function takeTopicScopes(
  draft: DraftComponent,
  findings: Findings,
): { scopes: TopicScopes | undefined; metadata: DraftComponent['metadata'] } {
  const scopes: TopicScopes = { allowed: [], protected: [], publishing: {}, subscription: {} };
  const metadata = draft.metadata?.filter((value) => {
    const key = value.key.toLowerCase();
    if (Object.hasOwn(LISTS, key)) scopes[LISTS[key as keyof typeof LISTS]] = topicsIn(value.value ?? '');
    else if (Object.hasOwn(MAPS, key))
      scopes[MAPS[key as keyof typeof MAPS]] = scopesIn(draft, value, findings);
    else return true;
    return false;
  });
  const some = Object.values(scopes).some((part: object) => Object.keys(part).length > 0);
  return { scopes: some ? scopes : undefined, metadata };
}

function topicsIn(text: string): string[] {
  return [...new Set(text.split(',').map((topic) => topic.trim()))].filter((topic) => topic !== '');
}

/** `app1=topic1,topic2;app2=`: the second may use none. */
function scopesIn(
  draft: DraftComponent,
  { value = '', line, path }: DraftValue,
  findings: Findings,
): Record<string, string[]> {
  const scopes = new Map<string, string[]>();
  for (const part of value.split(';')) {
    if (part.trim() === '') continue;
    const [, app = '', topics = ''] = /^([^=]+)=([^=]*)$/.exec(part) ?? [];
    if (app.trim() === '') {
      const expected = 'expected app ids with the topics of each, such as "shop=orders,bills;stock=orders"';
      findings.problem(draft.file, line, path, `${expected}, found ${describe(value)}`);
      break;
    }
    scopes.set(app.trim(), [...(scopes.get(app.trim()) ?? []), ...topicsIn(topics)]);
  }
  return Object.fromEntries(scopes);
}
