import type { Component } from '../component.js';

/** The entries of a secret. A store that holds one value per secret gives it the secret's own name. */
export type SecretEntries = ReadonlyMap<string, string>;

/** What a secret store must do. What it answers is what there is now: secrets that others change are seen. */
export interface SecretStore extends Component {
  /**
   * A secret as a whole, never a mixture of two versions; undefined if there is none of that name.
   *
   * @param name as the caller wrote it, so it may be anything
   */
  get(name: string): Promise<SecretEntries | undefined>;
  /** The names of all secrets. */
  names(): Promise<string[]>;
}

/** Why a store cannot say what it was asked. The message never holds a secret. */
export class SecretError extends Error {
  override name = 'SecretError';
}
