/** Types of function.mjs, which is plain JavaScript so that it runs before anything is built. */

/** Says in one text why a function was not built. */
export class FunctionError extends Error {}

/**
 * Compiles a function, which is written with assembly/function.
 *
 * @param file its source, which calls `serve` once
 * @returns the module, with its section
 */
export function buildFunction(file: string): Promise<Buffer>;
