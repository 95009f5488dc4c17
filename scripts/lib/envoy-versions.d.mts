/** Types of envoy-versions.mjs, for the test of docs/proxies.md. */

export const RESULTS: string;
export const DOCUMENT: string;
export const SUITES: Readonly<Record<string, string>>;
export function expected(): Record<string, string[]>;
export function tableOf(passed: Record<string, string[]>): string;
export function withTable(document: string, table: string): string;
