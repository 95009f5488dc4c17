import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import type { DraftSecretRef } from './draft.js';
import { componentNameProblem } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { valueAt } from './schema.js';
import { hint } from './suggest.js';

type Path = readonly PropertyKey[];

/** Metadata that is read before a component is opened, or elsewhere, and so cannot come from a secret store. */
const NEVER_SECRET: ReadonlySet<string> = new Set([
  'keyPrefix',
  'nearCacheMaxAge',
  'answerInEnvoy',
  'biggerThan',
  'segmentCacheEnable',
  'segmentStep',
]);

/** The native form's `{secret: {store: NAME, name: NAME, key: KEY}}` in the place of a metadata value. */
export function isNativeSecretRef(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length === 1 && 'secret' in value;
}

/** Reads one of the native form. @param path where it stands; its last part is the metadata key */
export function readNativeSecretRef(
  document: ConfigDocument,
  path: Path,
  findings: Findings,
): DraftSecretRef | undefined {
  const inner = [...path, 'secret'];
  const problem = (at: Path, message: string): void =>
    findings.problem(document.file, document.lineOf(at), keyText(at), message);
  const value = valueAt(document.value, inner);
  if (!isRecord(value)) {
    problem(inner, `expected a map with store and name, found ${describe(value)}`);
    return undefined;
  }
  const known = ['store', 'name', 'key'];
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) problem([...inner, key], `unknown key; ${hint(key, known)}`);
  }
  const text = (key: string): string => document.textOf([...inner, key]) ?? '';
  const [store, name] = [text('store'), text('name')];
  if (componentNameProblem(store) !== undefined)
    problem([...inner, 'store'], `expected the name of a secret store, found ${describe(value['store'])}`);
  if (name === '')
    problem([...inner, 'name'], `expected the name of a secret, found ${describe(value['name'])}`);
  const injectAs = String(path[path.length - 1]);
  const place = { file: document.file, line: document.lineOf(path), path: keyText(path) };
  return { injectAs, store, name, key: text('key') || name, ...place };
}

/**
 * Reads Layotto's `secret_ref`: a list of `{store_name, key, sub_key, inject_as}`. `sub_key` is the entry of the
 * secret, by default of the secret's own name, and `inject_as` the metadata key, by default `sub_key`.
 */
export function readLayottoSecretRefs(
  document: ConfigDocument,
  path: Path,
  findings: Findings,
): DraftSecretRef[] {
  const list = valueAt(document.value, path);
  if (!Array.isArray(list)) {
    const expected = 'expected a list of maps with store_name, key, sub_key and inject_as';
    findings.problem(
      document.file,
      document.lineOf(path),
      keyText(path),
      `${expected}, found ${describe(list)}`,
    );
    return [];
  }
  return list.flatMap((item: unknown, index) => {
    const inner = [...path, index];
    const text = (key: string): string => document.textOf([...inner, key]) ?? '';
    const [store, name] = [text('store_name'), text('key')];
    for (const key of ['store_name', 'key']) {
      if (text(key) !== '') continue;
      const found = isRecord(item) ? item[key] : item;
      const at = [...inner, key];
      findings.problem(
        document.file,
        document.lineOf(at),
        keyText(at),
        `expected text, found ${describe(found)}`,
      );
    }
    if (store === '' || name === '') return [];
    const key = text('sub_key') || name;
    const place = { file: document.file, line: document.lineOf(inner), path: keyText(inner) };
    return [{ injectAs: text('inject_as') || key, store, name, key, ...place }];
  });
}

/** Reports references that cannot be used where they stand. @returns whether this one can */
export function checkSecretRef(ref: DraftSecretRef, findings: Findings): boolean {
  if (!NEVER_SECRET.has(ref.injectAs)) return true;
  findings.problem(
    ref.file,
    ref.line,
    ref.path,
    `${ref.injectAs} cannot come from a secret store; write the value`,
  );
  return false;
}
