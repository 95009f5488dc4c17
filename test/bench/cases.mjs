/**
 * What is measured. A case is one of {@link SERVERS}, a door, a call, a size and a number in flight; its id is these
 * five with slashes, as in `layotto/layotto-grpc/get/1024/16`.
 *
 * A new way to be measured, such as another store, is one entry here; a target for it is one entry in targets.mjs.
 *
 * @typedef {object} Server
 * @property {string} title
 * @property {string[]} doors
 * @property {string[]} processes whose CPU time is taken; Redis is not counted as the server's own
 * @property {string} [store] name of the store that is called
 * @property {boolean} [peer] it is there only if DAPRD_BIN is
 * @property {(one: Case) => boolean} usual whether a case is measured without BENCH_FULL
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

/** Stores, by name: `through` says whether the connection to Redis passes a sidecar. */
export const STORES = {
  statestore: { through: 'nothing' },
  proxied: { through: 'sidecar' },
};

/** @type {Record<string, Server>} */
export const SERVERS = {
  layotto: {
    title: 'Layotto',
    doors: ['layotto-grpc', 'dapr-grpc', 'dapr-http'],
    processes: ['Envoy', 'bridge', 'Redis'],
    store: 'statestore',
    usual: (one) => one.bytes === KIB || (one.door === 'layotto-grpc' && one.inflight === 16),
  },
  'layotto-proxied': {
    title: 'Layotto, Redis through the sidecar too',
    doors: ['layotto-grpc', 'dapr-grpc', 'dapr-http'],
    processes: ['Envoy', 'bridge', 'Redis'],
    store: 'proxied',
    usual: (one) => one.bytes === KIB && one.door === 'dapr-grpc' && one.call === 'get',
  },
  daprd: {
    title: 'daprd',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['daprd', 'Redis'],
    store: 'statestore',
    peer: true,
    usual: (one) => one.bytes === KIB || (one.door === 'dapr-grpc' && one.inflight === 16),
  },
  'daprd-proxied': {
    title: 'daprd, Redis through its sidecar',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['daprd', 'sidecar', 'Redis'],
    store: 'proxied',
    peer: true,
    usual: (one) => one.bytes === KIB && one.door === 'dapr-grpc',
  },
  empty: {
    title: 'empty `direct_response`',
    doors: ['dapr-grpc', 'dapr-http'],
    processes: ['Envoy'],
    usual: (one) => one.bytes === KIB && one.call === 'get',
  },
  ioredis: {
    title: 'bare ioredis GET loop',
    doors: ['none'],
    processes: ['ioredis loop', 'Redis'],
    usual: (one) => one.bytes === KIB && one.call === 'get',
  },
};

/** References answer the same whatever is asked, so only one of their calls is of use. */
const ONE_CALL = new Set(['empty', 'ioredis']);

/**
 * @param {{ full: boolean, only: RegExp, daprd?: string }} settings
 * @returns {Case[]} in the order in which they are measured: what is compared stands side by side
 */
export function chooseCases({ full, only, daprd }) {
  const cases = [];
  for (const bytes of SIZES)
    for (const inflight of IN_FLIGHT)
      for (const call of ['get', 'save'])
        for (const [server, { doors, peer, usual }] of Object.entries(SERVERS))
          for (const door of doors) {
            const one = { server, door, call, bytes, inflight };
            one.id = [server, door, call, bytes, inflight].join('/');
            if (peer === true && daprd === undefined) continue;
            if (ONE_CALL.has(server) && (call !== 'get' || bytes !== KIB)) continue;
            if ((full || usual(one)) && only.test(one.id)) cases.push(one);
          }
  return cases;
}

/** The door on which the reference for another door is measured. */
export function referenceDoor(door) {
  return GRPC.includes(door) ? 'dapr-grpc' : door;
}
