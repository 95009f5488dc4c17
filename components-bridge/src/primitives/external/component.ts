import type { DescMessage, DescMethodUnary, Message } from '@bufbuild/protobuf';

import type { OwnPrimitive } from '../../config/types.js';
import type { Call } from '../call.js';
import type { Component } from '../component.js';

/** One operation of a primitive that the bridge was not built with. */
export interface ExternalRequest {
  readonly method: DescMethodUnary;
  /** The request as it came, and read. The bytes are the callee's to keep. */
  readonly payload: Uint8Array;
  readonly message: Message;
}

/** A backend of such a primitive: a module that was loaded, or a process. */
export interface ExternalComponent extends Component {
  /**
   * @returns the response message
   * @throws OperationError for a failure that the caller can understand; anything else counts as INTERNAL
   */
  perform(request: ExternalRequest, call: Call): Promise<Uint8Array>;
}

/** What backends of such a primitive are opened with, beside what every component is told. */
export interface ExternalSettings {
  own: OwnPrimitive;
  /** Largest message, in bytes. */
  messageBytes: number;
}

/** The name of the component that a request is about. */
export function componentNamed(message: Message, input: DescMessage, field: string): string {
  const { localName = '' } = input.fields.find(({ name }) => name === field) ?? {};
  return String((message as unknown as Record<string, unknown>)[localName] ?? '');
}
