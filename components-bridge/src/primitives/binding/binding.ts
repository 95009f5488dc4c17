import type { Component } from '../component.js';

/** One invocation of an output binding. */
export interface Invocation {
  /** One of the binding's operations. */
  operation: string;
  data: Uint8Array;
  /** What the caller says beside the data; names and values may be anything. */
  metadata: ReadonlyMap<string, string>;
  /** The caller's W3C trace context; empty if there is none. */
  traceparent: string;
  /** When the caller gives up, in milliseconds of `performance.now()`; Infinity: never. */
  deadline: number;
  /** Longest data that may be answered. */
  maxBytes: number;
}

export interface InvocationResult {
  data: Uint8Array;
  metadata: Record<string, string>;
}

/** What an output binding must do. */
export interface OutputBinding extends Component {
  /** Which operations it has, in the order in which callers are told. */
  readonly operations: readonly string[];
  /** @throws BindingError if it was not done, or is not known to have been done */
  invoke(invocation: Invocation): Promise<InvocationResult>;
}

export type BindingErrorKind =
  /** The backend, or the way to it, failed, or refused. */
  | 'failed'
  /** The answer is longer than may be. */
  | 'too-large'
  /** The caller's deadline passed before the backend answered. */
  | 'deadline';

/** Why a binding did not do what it was asked. The service maps the kind to the code that callers see. */
export class BindingError extends Error {
  override name = 'BindingError';

  constructor(
    readonly kind: BindingErrorKind,
    message: string,
  ) {
    super(message);
  }
}
