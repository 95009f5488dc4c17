/**
 * The backends that conformance suites run on: a folder of components-bridge/src/components each, and its name for
 * people. `make conformance BACKEND=…` takes the folder's.
 */
export const BACKENDS = {
  apollo: 'Apollo',
  embedded: 'embedded',
  etcd: 'etcd',
  http: 'HTTP server',
  kafka: 'Kafka',
  local: 'folder of files',
  localenv: 'environment',
  localfile: 'JSON file',
  localstorage: 'local folder',
  mounted: 'mounted folder',
  nats: 'NATS JetStream',
  redis: 'Redis, Valkey',
} as const;

export type BackendName = keyof typeof BACKENDS;

/** What a suite runs on. */
export interface Subject {
  backend: BackendName;
  /** Which of the backend's several forms it is, for people, for example "Valkey by Sentinel". */
  setup: string;
}

/**
 * A primitive's suite on one backend: in place of `describe`, so that `make conformance` finds it and the README's table
 * shows it. scripts/lib/conformance.mjs reads the title.
 *
 * @param primitive as the catalog calls it, for example "state"
 */
export function conformance(primitive: string, { backend, setup }: Subject, tests: () => void): void {
  describe(`conformance of ${primitive} on ${backend} (${setup})`, tests);
}
