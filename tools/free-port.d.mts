/** Types of free-port.mjs, which is plain JavaScript so that it runs before anything is built. */

export function freePorts(count: number): Promise<number[]>;
export function freePort(): Promise<number>;
