import type { Component } from '../component.js';

/** What is known of a file, or of a folder in a list. */
export interface FileFacts {
  /** In a list, the name within the folder that is listed; a folder's ends in a slash. */
  name: string;
  /** Bytes. */
  size: number;
  modified: Date;
  /** What the store says beside that, such as `FileMode`. */
  metadata: Readonly<Record<string, string>>;
}

/** One page of a list. */
export interface FilePage {
  files: FileFacts[];
  /** Whether more follow; they do after the name of the last one. */
  truncated: boolean;
}

/** A file that is being read. What it reads is one version of the file, whatever is put meanwhile. */
export interface FileReader {
  /** The next bytes, undefined after the last. They are good until the next call. */
  read(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/** A file that is being written. Nobody sees it before it is whole. */
export interface FileWriter {
  write(data: Uint8Array): Promise<void>;
  /** Makes it the file of its name, durably. Not called after a failure. */
  commit(): Promise<void>;
  /** Leaves nothing of it, and what there was before as it was. Never throws. */
  discard(): Promise<void>;
}

/** What a file store must do. Names come as callers wrote them, so they may be anything. */
export interface FileStore extends Component {
  /** @throws FileError `not-found` if there is none */
  read(name: string): Promise<FileReader>;
  /** @param metadata the store's own settings of this file, such as `FileMode` */
  write(name: string, metadata: ReadonlyMap<string, string>): Promise<FileWriter>;
  /**
   * A page of a folder, by name. Files that come or go between two pages do not move the others.
   *
   * @param size most entries
   * @param after the name that the page before ended with; empty for the first one
   */
  list(folder: string, size: number, after: string): Promise<FilePage>;
  /** @throws FileError `not-found` if there is none */
  remove(name: string): Promise<void>;
  /** @throws FileError `not-found` if there is none */
  facts(name: string): Promise<FileFacts>;
}

/** Why a store does not do what it was asked; the service has a code for each. */
export type FileFailure =
  /** The name or a setting is wrong. */
  | 'invalid'
  | 'not-found'
  | 'exists'
  | 'permission'
  /** No room, or a quota is used up. */
  | 'full'
  | 'failed';

/** The message says what went wrong with which file. */
export class FileError extends Error {
  override name = 'FileError';

  constructor(
    readonly failure: FileFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
