import type { DraftComponent, DraftSecretRef, DraftValue } from './draft.js';
import { entryOf } from './own-primitive.js';
import { describe } from './problems.js';
import type { Findings } from './problems.js';
import { issueText, keysOf } from './schema.js';
import { checkSecretRef } from './secret-refs.js';
import { hint, nearest } from './suggest.js';
import { takeTopicScopes } from './topic-scopes.js';
import type { CatalogEntry, ComponentConfig, SecretRef } from './types.js';

/** Metadata whose value must not appear in a message. */
const SECRET_KEY = /pass|secret|token|credential|private|(?:access|account|api|client|shared).?key/i;

/** The entry of a type, by its canonical name or an alias with a dot. */
export function catalogEntry(catalog: readonly CatalogEntry[], type: string): CatalogEntry | undefined {
  const wanted = type.toLowerCase();
  return catalog.find((entry) => names(entry).some((name) => name.toLowerCase() === wanted));
}

function names(entry: CatalogEntry): string[] {
  return [entry.type, ...(entry.aliases ?? []).map((alias) => fullType(entry, alias))];
}

/** An alias without a dot counts within the primitive: `redis` of state is `state.redis`. */
function fullType(entry: CatalogEntry, alias: string): string {
  return alias.includes('.') ? alias : `${entry.primitive}.${alias}`;
}

/**
 * Checks components against the catalog and against each other.
 *
 * An unknown type is a problem in the native form. The foreign forms are written for runtimes that know more
 * types, so there it is left out with a notice, unless it looks like a slip. The same goes for metadata keys.
 */
export function checkComponents(
  drafts: readonly DraftComponent[],
  catalog: readonly CatalogEntry[],
  findings: Findings,
): ComponentConfig[] {
  const components: ComponentConfig[] = [];
  const seen = new Map<string, DraftComponent>();
  for (const draft of drafts) {
    const { own } = draft;
    const entry = own === undefined ? catalogEntry(catalog, draft.type) : entryOf(own);
    if (entry === undefined) {
      unknownType(draft, catalog, findings);
      continue;
    }
    const id = `${entry.primitive}/${draft.name}`;
    const earlier = draft.name === '' ? undefined : seen.get(id);
    if (earlier !== undefined) {
      const message = `the name "${draft.name}" is taken by the component at ${earlier.file}:${earlier.line}; give each its own`;
      findings.problem(draft.file, draft.line, draft.path, message);
    } else {
      seen.set(id, draft);
    }
    const ofTopics = entry.primitive === 'pubsub' ? takeTopicScopes(draft, findings) : undefined;
    const { metadata, secretRefs } = checkMetadata({ ...draft, ...ofTopics }, entry, findings);
    const { access } = draft;
    if (access !== undefined && entry.primitive !== 'secret') {
      const message = `only secret stores have rules of access, and ${entry.type} is none; remove them`;
      findings.problem(draft.file, draft.line, `${draft.path}.access`, message);
    }
    components.push({
      name: draft.name,
      type: entry.type,
      version: draft.version,
      primitive: entry.primitive,
      form: draft.form,
      metadata,
      ...(secretRefs.length === 0 ? {} : { secretRefs }),
      ...(access === undefined ? {} : { access }),
      ...(ofTopics?.scopes === undefined ? {} : { topicScopes: ofTopics.scopes }),
      ...(own === undefined ? {} : { own: own.own }),
      origin: { file: draft.file, line: draft.line },
    });
  }
  checkStores(drafts, components, findings);
  checkOwn(drafts, findings);
  return components;
}

/** What a primitive's calls mean cannot depend on which of its components they are about. */
function checkOwn(drafts: readonly DraftComponent[], findings: Findings): void {
  const seen = new Map<string, DraftComponent>();
  for (const draft of drafts) {
    if (draft.own === undefined) continue;
    const { primitive, own } = draft.own;
    const earlier = seen.get(primitive) ?? draft;
    seen.set(primitive, earlier);
    const same = earlier.own?.own.service === own.service && earlier.own.own.folder === own.folder;
    if (same) continue;
    const message = `the component at ${earlier.file}:${earlier.line} has the primitive ${primitive} from another folder; take one of them`;
    findings.problem(draft.file, draft.typeLine, draft.typePath, message);
  }
}

/** A secret store may come later; until then components that need it are not ready, so that is said early. */
function checkStores(
  drafts: readonly DraftComponent[],
  components: readonly ComponentConfig[],
  findings: Findings,
): void {
  const stores = new Set(
    components.filter(({ primitive }) => primitive === 'secret').map(({ name }) => name),
  );
  for (const { name, secretRefs = [] } of drafts) {
    for (const ref of secretRefs) {
      if (ref.store === '' || stores.has(ref.store)) continue;
      const message = `there is no secret store "${ref.store}"; "${name}" is not ready until there is one`;
      findings.notice(ref.file, ref.line, ref.path, message);
    }
  }
}

function unknownType(draft: DraftComponent, catalog: readonly CatalogEntry[], findings: Findings): void {
  const guess = nearest(draft.type, catalog.flatMap(names));
  if (draft.form === 'native' || guess !== undefined) {
    const known = catalog.map((entry) => entry.type);
    const suggestion = guess === undefined ? hint(draft.type, known) : `did you mean "${guess}"?`;
    findings.problem(
      draft.file,
      draft.typeLine,
      draft.typePath,
      `unknown component type "${draft.type}"; ${suggestion}`,
    );
    return;
  }
  const message = `the component type "${draft.type}" is not served by this version; "${draft.name}" is left out`;
  findings.notice(draft.file, draft.typeLine, draft.typePath, message);
}

function checkMetadata(
  draft: DraftComponent,
  entry: CatalogEntry,
  findings: Findings,
): { metadata: Record<string, string>; secretRefs: SecretRef[] } {
  const known = keysOf(entry.metadata);
  const spelling = new Map(known.map((key) => [key.toLowerCase(), key]));
  const refs = checkSecretRefs(draft, entry, known, findings);
  const values = new Map<string, DraftValue>();
  for (const value of draft.metadata ?? []) {
    const key = spelling.get(value.key.toLowerCase()) ?? value.key;
    const earlier = values.get(key);
    // In Layotto's form a secret takes the place of what is written, which often is an empty text.
    if (refs.has(key) && draft.form === 'layotto') continue;
    if (earlier !== undefined) {
      const message = `given twice, first in line ${earlier.line} (case does not count); keep one`;
      findings.problem(draft.file, value.line, value.path, message);
      continue;
    }
    values.set(key, value);
  }
  let result = entry.metadata.safeParse(plain(values));
  let unknown = false;
  if (!result.success) {
    for (const issue of result.error.issues) {
      if (issue.code !== 'unrecognized_keys' || issue.path.length > 0) continue;
      unknown = true;
      for (const key of issue.keys) {
        unknownKey(draft, entry, key, values.get(key), known, findings);
        values.delete(key);
      }
    }
    if (unknown) result = entry.metadata.safeParse(plain(values));
  }
  if (!result.success && draft.metadata !== undefined) {
    for (const issue of result.error.issues) {
      const key = String(issue.path[0] ?? '');
      const value = values.get(key);
      if ((value !== undefined && value.value === undefined) || refs.has(key)) continue;
      const line = value?.line ?? draft.line;
      const path = value?.path ?? [draft.path, 'metadata', key].filter((part) => part !== '').join('.');
      findings.problem(draft.file, line, path, `${issueText(issue)}, found ${found(key, value)}`);
    }
  }
  const secretRefs = [...refs.values()].map(({ injectAs, store, name, key }) => {
    return { injectAs, store, name, key };
  });
  return { metadata: plain(values), secretRefs };
}

/** The references of a component by metadata key, in the schema's spelling. */
function checkSecretRefs(
  draft: DraftComponent,
  entry: CatalogEntry,
  known: readonly string[],
  findings: Findings,
): Map<string, DraftSecretRef> {
  const spelling = new Map(known.map((key) => [key.toLowerCase(), key]));
  const refs = new Map<string, DraftSecretRef>();
  for (const written of draft.secretRefs ?? []) {
    const injectAs =
      spelling.get(written.injectAs.toLowerCase()) ?? (entry.anyMetadata ? written.injectAs : undefined);
    const { file, line, path } = written;
    if (injectAs === undefined) {
      unknownKey(draft, entry, written.injectAs, { line, path }, known, findings);
      continue;
    }
    const ref = { ...written, injectAs };
    const earlier = refs.get(injectAs);
    if (earlier !== undefined) {
      const message = `${injectAs} is taken from a secret twice, first in line ${earlier.line}; keep one`;
      findings.problem(file, line, path, message);
    } else if (checkSecretRef(ref, findings)) refs.set(injectAs, ref);
  }
  return refs;
}

function plain(values: ReadonlyMap<string, DraftValue>): Record<string, string> {
  return Object.fromEntries(
    [...values].flatMap(([key, { value }]) => (value === undefined ? [] : [[key, value]])),
  );
}

function found(key: string, value: DraftValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value.hidden) return 'the value of an environment variable';
  return SECRET_KEY.test(key) ? 'a value that is not shown here' : describe(value.value);
}

function unknownKey(
  draft: DraftComponent,
  entry: CatalogEntry,
  key: string,
  value: Pick<DraftValue, 'line' | 'path'> | undefined,
  known: readonly string[],
  findings: Findings,
): void {
  const line = value?.line ?? draft.line;
  const path = value?.path ?? draft.path;
  if (draft.form === 'native') {
    findings.problem(draft.file, line, path, `unknown metadata key of ${entry.type}; ${hint(key, known)}`);
    return;
  }
  const guess = nearest(key, known);
  const suggestion = guess === undefined ? '' : `; did you mean "${guess}"?`;
  findings.notice(
    draft.file,
    line,
    path,
    `${entry.type} does not use this metadata key; it is left out${suggestion}`,
  );
}
