export const GRPC_PACKAGES: string[];
export function pythonWith(packages: string[]): Promise<string>;
