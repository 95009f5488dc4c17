/** Whether a function of a function's module runs seldom. @param name as the compiler calls it */
export function runsSeldom(name: string): boolean;

/** A module that does the same, without names, and of whose functions that run seldom Envoy makes less code. */
export function shortenSeldom(wasm: Uint8Array, isSeldom: (name: string) => boolean): Buffer;
