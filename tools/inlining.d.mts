/** A module that does the same, without names, and of whose functions, or some of them, Envoy makes less code. */
export function withoutInlining(wasm: Uint8Array, of?: (name: string) => boolean): Buffer;
