/**
 * What is measured. A case is one of {@link SERVERS}, a door, a call, a size and a number in flight; its id is these
 * five with slashes, as in `layotto/layotto-grpc/get/1024/16`.
 *
 * Another way to be measured, such as another kind of store, is one more entry: its store is then configured, its
 * cases are measured and, with `ofEmpty`, judged.
 *
 * @typedef {object} Server
 * @property {string} title
 * @property {'layotto' | 'daprd' | 'empty' | 'ioredis'} program what is called
 * @property {string[]} doors
 * @property {string[]} processes whose CPU time is taken; Redis is not counted as the server's own
 * @property {Store} [store] that is called
 * @property {number} [ofEmpty] how many times an empty local answer Envoy's part of a call may cost
 * @property {(one: Case) => boolean} usual whether a case is measured without BENCH_FULL
 *
 * @typedef {object} Store a `state.redis` component
 * @property {string} name
 * @property {'sidecar'} [through] its connection to Redis passes a `tcp_proxy`
 * @property {Record<string, string>} [metadata] beside the address
 *
 * @typedef {object} Case
 * @property {string} id
 * @property {string} server
 * @property {string} door
 * @property {'get' | 'save'} call
 * @property {number} bytes of the value
 * @property {number} inflight
 */

const KIB = 1024;
const SIZES = [100, KIB, 64 * KIB];
const IN_FLIGHT = [1, 16, 64];
const GRPC = ['layotto-grpc', 'dapr-grpc'];

const DIRECT = { name: 'statestore' };
const PROXIED = { name: 'proxied', through: 'sidecar' };
const CACHED = { name: 'cached', metadata: { nearCacheMaxAge: '1h' } };

/** @type {Record<string, Server>} */
export const SERVERS = {
  layotto: {
    title: 'Layotto',
    program: 'layotto',
    doors: ['layotto-grpc', 'dapr-grpc', 'dapr-http'],
    processes: ['Envoy', 'bridge', 'Redis'],
    store: DIRECT,
    ofEmpty: 2.6,
    usual: (one) => one.bytes === KIB || (one.door === 'layotto-grpc' && one.inflight === 16),
  },
  'layotto-proxied': {
    title: 'Layotto, Redis through the sidecar too',
    program: 'layotto',
    doors: ['layotto-grpc', 'dapr-grpc', 'dapr-http'],
    processes: ['Envoy', 'bridge', 'Redis'],
    store: PROXIED,
    usual: (one) => one.bytes === KIB && one.door === 'dapr-grpc' && one.call === 'get',
  },
  'layotto-cached': {
    title: 'Layotto, near cache hit',
    program: 'layotto',
    doors: ['layotto-grpc', 'dapr-grpc', 'dapr-http'],
    processes: ['Envoy', 'bridge', 'Redis'],
    store: CACHED,
    ofEmpty: 1.8,
    usual: (one) => one.bytes === KIB && one.call === 'get' && one.door !== 'dapr-grpc',
  },
  daprd: {
    title: 'daprd',
    program: 'daprd',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['daprd', 'Redis'],
    store: DIRECT,
    usual: (one) => one.bytes === KIB || (one.door === 'dapr-grpc' && one.inflight === 16),
  },
  'daprd-proxied': {
    title: 'daprd, Redis through its sidecar',
    program: 'daprd',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['daprd', 'sidecar', 'Redis'],
    store: PROXIED,
    usual: (one) => one.bytes === KIB && one.door === 'dapr-grpc',
  },
  empty: {
    title: 'empty `direct_response`',
    program: 'empty',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['Envoy'],
    usual: (one) => one.bytes === KIB && one.call === 'get',
  },
  ioredis: {
    title: 'bare ioredis GET loop',
    program: 'ioredis',
    doors: ['none'],
    processes: ['ioredis loop', 'Redis'],
    usual: (one) => one.bytes === KIB && one.call === 'get',
  },
};

/**
 * The stores of a program, each once.
 *
 * @param {string} program
 * @returns {Store[]}
 */
export function storesOf(program) {
  const own = Object.values(SERVERS).filter(
    (server) => server.program === program && server.store !== undefined,
  );
  return [...new Map(own.map(({ store }) => [store.name, store])).values()];
}

/** Whether it answers the same whatever is asked, so that only one of its calls is of use. */
export function isReference(server) {
  return SERVERS[server].program === 'empty' || SERVERS[server].program === 'ioredis';
}

/**
 * @param {{ full: boolean, only: RegExp, daprd?: string }} settings
 * @returns {Case[]} in the order in which they are measured: what is compared stands side by side
 */
export function chooseCases({ full, only, daprd }) {
  const cases = [];
  for (const bytes of SIZES)
    for (const inflight of IN_FLIGHT)
      for (const call of ['get', 'save'])
        for (const [server, { doors, program, usual }] of Object.entries(SERVERS))
          for (const door of doors) {
            const one = { server, door, call, bytes, inflight };
            one.id = [server, door, call, bytes, inflight].join('/');
            if (program === 'daprd' && daprd === undefined) continue;
            if (isReference(server) && (call !== 'get' || bytes !== KIB)) continue;
            if ((full || usual(one)) && only.test(one.id)) cases.push(one);
          }
  return cases;
}

/** The door on which the reference for another door is measured. */
export function referenceDoor(door) {
  return GRPC.includes(door) ? 'dapr-grpc' : door;
}
