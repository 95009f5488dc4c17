export const OPENAPI = '{}';
