/** The place in a trace at which a span of ours goes. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** The span above, 16 hexadecimal digits; undefined if it is not known. */
  parentId: string | undefined;
  /** Whether whoever began the trace records it. */
  sampled: boolean;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The parent that Envoy's configuration writes where it knows the trace but not its own span in it (before 1.38); no
 * span has it. See envoy/tracing.ts.
 */
const UNKNOWN_PARENT = 'f'.repeat(16);

/** Reads a W3C `traceparent`; undefined if it is none. Later versions may have more behind it. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId = '', parentId = '', flags = '', rest] = FORM.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return {
    traceId,
    parentId: parentId === UNKNOWN_PARENT ? undefined : parentId,
    sampled: (parseInt(flags, 16) & 1) === 1,
  };
}
