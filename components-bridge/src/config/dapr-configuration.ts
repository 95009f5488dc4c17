import { DAPR_ACCESS, readAccess } from './access.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import type { DraftComponent } from './draft.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import type { SecretAccess } from './types.js';

/** What a Dapr `Configuration` says of one secret store. */
export interface SecretScope {
  store: string;
  access: SecretAccess;
  file: string;
  line: number;
  path: string;
}

/** Reads `spec.secrets.scopes` of a Dapr `Configuration`; what else stands in it is not used. */
export function readSecretScopes(document: ConfigDocument, findings: Findings): SecretScope[] {
  const { file } = document;
  const root = document.value;
  const spec = isRecord(root) ? root['spec'] : undefined;
  const others = isRecord(spec) ? Object.keys(spec).filter((key) => key !== 'secrets') : [];
  for (const key of others) {
    findings.notice(file, document.lineOf(['spec', key]), `spec.${key}`, 'not used by this version');
  }
  const secrets = isRecord(spec) ? spec['secrets'] : undefined;
  if (secrets === undefined || secrets === null) return [];
  const path = ['spec', 'secrets', 'scopes'];
  const list = isRecord(secrets) ? secrets['scopes'] : undefined;
  if (!Array.isArray(list)) {
    const message = `expected a list of rules for secret stores, found ${describe(list)}`;
    findings.problem(file, document.lineOf(path), keyText(path), message);
    return [];
  }
  return list.flatMap((_, index): SecretScope[] => {
    const inner = [...path, index];
    const access = readAccess(document, inner, DAPR_ACCESS, findings, ['storeName']);
    if (access === undefined) return [];
    const store = document.textOf([...inner, 'storeName']) ?? '';
    const line = document.lineOf(inner);
    if (store === '')
      findings.problem(file, line, keyText([...inner, 'storeName']), 'expected the name of a secret store');
    return [{ store, access, file, line, path: keyText(inner) }];
  });
}

/** Gives secret stores the rules that were written for them elsewhere. */
export function applySecretScopes(
  scopes: readonly SecretScope[],
  drafts: readonly DraftComponent[],
  isSecretStore: (draft: DraftComponent) => boolean,
  findings: Findings,
): void {
  for (const { store, access, file, line, path } of scopes) {
    const draft = drafts.find(({ name, ...rest }) => name === store && isSecretStore({ name, ...rest }));
    if (draft === undefined) {
      const message = `there is no secret store "${store}" that these rules could be for`;
      findings.notice(file, line, path, message);
    } else if (draft.access === undefined) {
      draft.access = access;
    } else {
      findings.problem(file, line, path, `the secret store "${store}" has rules already; keep one of them`);
    }
  }
}
