import type { ComponentContext } from '../../primitives/component.js';
import type { SecretEntries, SecretStore } from '../../primitives/secret/store.js';
import { metadataSchema } from './metadata.js';

/** Secrets that stand in the environment of the bridge. */
export async function open(context: Pick<ComponentContext, 'metadata'>): Promise<SecretStore> {
  return new EnvironmentSecretStore(metadataSchema.parse(context.metadata).prefix ?? '', process.env);
}

/** One secret per variable. */
export class EnvironmentSecretStore implements SecretStore {
  constructor(
    private readonly prefix: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  async get(name: string): Promise<SecretEntries | undefined> {
    const variable = `${this.prefix}${name}`;
    // The system's own look-up would end at a NUL, and so find another variable than the one that was asked for.
    if (name === '' || /[\0=]/.test(name)) return undefined;
    if (isRuntimesOwn(variable) || !Object.hasOwn(this.env, variable)) return undefined;
    return new Map([[name, this.env[variable] ?? '']]);
  }

  async names(): Promise<string[]> {
    return Object.keys(this.env)
      .filter((variable) => variable.startsWith(this.prefix) && !isRuntimesOwn(variable))
      .map((variable) => variable.slice(this.prefix.length))
      .filter((name) => name !== '');
  }

  async close(): Promise<void> {}
}

/** Dapr's own variables, which hold its tokens; as in Dapr no app gets them. */
function isRuntimesOwn(variable: string): boolean {
  return /^(?:APP_API_TOKEN$|DAPR_)/i.test(variable);
}
