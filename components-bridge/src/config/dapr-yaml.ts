import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { readSecretScopes } from './dapr-configuration.js';
import type { SecretScope } from './dapr-configuration.js';
import { isRecord, parseText, readError, readText } from './document.js';
import type { ConfigDocument } from './document.js';
import type { DraftComponent, DraftSecretRef, DraftValue } from './draft.js';
import { readHttpEndpoint } from './http-endpoint.js';
import type { DraftEndpoint } from './http-endpoint.js';
import { componentNameProblem } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { readDaprSubscription } from './subscriptions.js';
import type { DraftSubscription } from './subscriptions.js';

type Path = readonly PropertyKey[];

/** What the values of Dapr's files may refer to. */
export interface DaprContext {
  appId: string;
  env: NodeJS.ProcessEnv;
  /** A file of the folder that is no resource: the configuration itself, as an absolute path. */
  skip?: string | undefined;
}

/** What `{uuid}` stands for: the same each time this process reads a file, or every edit would change it. */
const UUID = randomUUID();

/** What a folder of Dapr's resources says. */
export interface DaprResources {
  components: DraftComponent[];
  /** Rules of its configurations: which secrets the app may have. */
  scopes: SecretScope[];
  subscriptions: DraftSubscription[];
  endpoints: DraftEndpoint[];
}

/** Where Dapr looks for secrets if a component does not say where. */
const DEFAULT_SECRET_STORE = 'kubernetes';

/** Does the document look like a Dapr or Kubernetes resource? */
export function isDaprForm(value: unknown): boolean {
  return isRecord(value) && 'kind' in value && 'apiVersion' in value;
}

/**
 * Reads every `*.yaml` and `*.yml` of a folder (not of its subfolders, as Dapr does), in the order of their
 * names, or one such file. Resources of other kinds become notices.
 *
 * @param path absolute path of the folder
 * @param shown the folder as the user gave it
 */
export async function readDaprFolder(
  path: string,
  shown: string,
  context: DaprContext,
  findings: Findings,
): Promise<DaprResources> {
  const components: DraftComponent[] = [];
  const scopes: SecretScope[] = [];
  const subscriptions: DraftSubscription[] = [];
  const endpoints: DraftEndpoint[] = [];
  for (const [file, shownFile] of await resourceFiles(path, shown, findings)) {
    if (file === context.skip) continue;
    const text = await readText(file, shownFile, findings);
    if (text === undefined) continue;
    for (const document of parseText(text, shownFile, findings)) {
      if (isRecord(document.value) && document.value['kind'] === 'Configuration') {
        scopes.push(...readSecretScopes(document, findings));
        continue;
      }
      const reader = new DaprReader(document, context, findings);
      if (isRecord(document.value) && document.value['kind'] === 'Subscription') {
        const name = document.textOf(['metadata', 'name']) ?? '';
        if (reader.inScope(document.value['scopes'], name))
          subscriptions.push(...readDaprSubscription(document, findings));
        continue;
      }
      if (isRecord(document.value) && document.value['kind'] === 'HTTPEndpoint') {
        endpoints.push(...[readHttpEndpoint(reader) ?? []].flat());
        continue;
      }
      const component = reader.read();
      if (component !== undefined) components.push(component);
    }
  }
  return { components, scopes, subscriptions, endpoints };
}

async function resourceFiles(path: string, shown: string, findings: Findings): Promise<[string, string][]> {
  try {
    if ((await stat(path)).isFile()) return [[path, shown]];
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/i.test(name)).sort();
    if (names.length === 0) findings.notice(shown, 0, '', 'the folder holds no *.yaml or *.yml file');
    return names.map((name) => [join(path, name), join(shown, name)]);
  } catch (error) {
    findings.problem(shown, 0, '', readError(error));
    return [];
  }
}

/** Reads one resource. */
export class DaprReader {
  /** What the settings that were read take from secret stores. */
  readonly secretRefs: DraftSecretRef[] = [];

  constructor(
    readonly document: ConfigDocument,
    readonly context: DaprContext,
    readonly findings: Findings,
  ) {}

  /** The component, or undefined if it is not one, not for this app, or wrong. */
  read(): DraftComponent | undefined {
    const root = this.document.value;
    if (!isRecord(root)) {
      this.problem(
        [],
        `expected a resource: a map with apiVersion, kind, metadata and spec, found ${describe(root)}`,
      );
      return undefined;
    }
    const kind = root['kind'];
    if (typeof kind !== 'string') {
      this.problem(['kind'], `expected the resource's kind, such as Component, found ${describe(kind)}`);
      return undefined;
    }
    if (kind !== 'Component') {
      this.#notice(['kind'], `resources of kind ${describe(kind)} are not served by this version`);
      return undefined;
    }
    const version = root['apiVersion'];
    if (version !== 'dapr.io/v1alpha1') {
      this.problem(['apiVersion'], `expected dapr.io/v1alpha1, found ${describe(version)}`);
    }
    const name = this.document.textOf(['metadata', 'name']);
    const wrong = name === undefined ? 'expected a name (text)' : componentNameProblem(name);
    if (wrong !== undefined) this.problem(['metadata', 'name'], `${wrong}, found ${describe(name)}`);
    if (!this.inScope(root['scopes'], name ?? '')) return undefined;
    const spec = root['spec'];
    if (!isRecord(spec)) {
      this.problem(['spec'], `expected a map with type and metadata, found ${describe(spec)}`);
      return undefined;
    }
    const type = spec['type'];
    if (typeof type !== 'string' || type === '') {
      this.problem(
        ['spec', 'type'],
        `expected a component type (text), such as state.redis, found ${describe(type)}`,
      );
      return undefined;
    }
    if (name === undefined) return undefined;
    return {
      name,
      type,
      version: this.document.textOf(['spec', 'version']) || 'v1',
      form: 'dapr',
      metadata: this.settings(spec['metadata'], ['spec', 'metadata']),
      secretRefs: this.secretRefs,
      file: this.document.file,
      line: this.document.startLine,
      path: 'spec',
      typePath: 'spec.type',
      typeLine: this.document.lineOf(['spec', 'type']),
    };
  }

  /** Reports what is wrong. */
  problem(path: Path, message: string): void {
    this.findings.problem(this.document.file, this.document.lineOf(path), keyText(path), message);
  }

  #notice(path: Path, message: string): void {
    this.findings.notice(this.document.file, this.document.lineOf(path), keyText(path), message);
  }

  /** Whether the resource is meant for the app; if not, that is a notice. */
  inScope(scopes: unknown, name: string): boolean {
    if (scopes === undefined || scopes === null) return true;
    if (!Array.isArray(scopes)) {
      this.problem(['scopes'], `expected a list of app ids, found ${describe(scopes)}`);
      return true;
    }
    const ids = scopes.map((_, index) => this.document.textOf(['scopes', index]) ?? '');
    if (ids.length === 0 || ids.includes(this.context.appId)) return true;
    this.#notice(['scopes'], `"${name}" is not meant for the app "${this.context.appId}"; it is left out`);
    return false;
  }

  /** A list of names and values; undefined if it is none, which is reported. */
  settings(items: unknown, path: Path): DraftValue[] | undefined {
    if (items === undefined || items === null) return [];
    if (!Array.isArray(items)) {
      this.problem(path, `expected a list of names and values, found ${describe(items)}`);
      return undefined;
    }
    const values: DraftValue[] = [];
    for (const [index, item] of items.entries()) {
      const value = this.#item(item, [...path, index]);
      if (value !== undefined) values.push(value);
    }
    return values;
  }

  /**
   * One setting. Its value is undefined if that was wrong; without a name, and for one that is kept in a secret store,
   * there is nothing to return.
   */
  #item(item: unknown, path: Path): DraftValue | undefined {
    if (!isRecord(item)) {
      this.problem(path, `expected a map with name and value, found ${describe(item)}`);
      return undefined;
    }
    const key = this.document.textOf([...path, 'name']);
    if (key === undefined || key === '') {
      this.problem([...path, 'name'], `expected the name of a setting, found ${describe(item['name'])}`);
      return undefined;
    }
    const kind = ['secretKeyRef', 'envRef'].find((name) => item[name] !== undefined) ?? 'value';
    const source = [...path, kind];
    if (kind === 'secretKeyRef') {
      this.#secret(key, source);
      return undefined;
    }
    const setting = {
      key,
      line: this.document.lineOf(source),
      path: `spec.metadata.${key}`,
      hidden: kind !== 'value',
    };
    return { ...setting, value: this.#value(item, kind, key, source) };
  }

  #value(item: Record<string, unknown>, kind: string, key: string, source: Path): string | undefined {
    const written = this.document.textOf(source);
    if (kind === 'envRef') return this.#variable(written, source);
    if (written === undefined && item['value'] !== undefined) {
      const message = `expected text, a number, true or false for "${key}", found ${describe(item['value'])}`;
      this.problem(source, message);
      return undefined;
    }
    return this.#fill(written ?? '', source);
  }

  /** `secretKeyRef`: the secret's name, and the entry of it, by default of the same name. */
  #secret(injectAs: string, path: Path): void {
    const name = this.document.textOf([...path, 'name']);
    if (name === undefined || name === '') {
      this.problem([...path, 'name'], `expected the name of the secret that holds "${injectAs}"`);
      return;
    }
    this.secretRefs.push({
      injectAs,
      store: this.document.textOf(['auth', 'secretStore']) || DEFAULT_SECRET_STORE,
      name,
      key: this.document.textOf([...path, 'key']) || name,
      file: this.document.file,
      line: this.document.lineOf(path),
      path: `spec.metadata.${injectAs}`,
    });
  }

  /** An environment variable. Like Dapr it refuses the runtime's own, which hold its tokens. */
  #variable(name: string | undefined, path: Path): string | undefined {
    if (
      name === undefined ||
      name === '' ||
      /\s/.test(name) ||
      name === 'APP_API_TOKEN' ||
      name.startsWith('DAPR_')
    ) {
      const expected =
        'expected the name of an environment variable, without spaces, not APP_API_TOKEN and not DAPR_…';
      this.problem(path, `${expected}, found ${describe(name)}`);
      return undefined;
    }
    const value = this.context.env[name];
    if (value === undefined)
      this.problem(path, `expected the environment variable ${name} to be set; set it or write a value`);
    return value;
  }

  /** Replaces Dapr's template tags. */
  #fill(text: string, path: Path): string {
    if (!text.includes('{')) return text;
    const { appId, env } = this.context;
    return text.replace(/\{(appID|uuid|podName|namespace)\}/g, (tag) => {
      if (tag === '{appID}') return appId;
      if (tag === '{uuid}') return UUID;
      if (tag === '{namespace}') return `${env['NAMESPACE'] || 'default'}.${appId}`;
      const pod = env['POD_NAME'];
      if (pod === undefined)
        this.problem(path, 'expected the environment variable POD_NAME to be set for {podName}');
      return pod ?? tag;
    });
  }
}
