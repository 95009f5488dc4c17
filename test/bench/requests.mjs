/**
 * The calls that are measured, as a client puts them on the wire. The messages are small enough to be written by
 * hand, which keeps the client's own work out of the figures.
 */

/** One door: how a call on it looks. */
const DOORS = {
  'layotto-grpc': grpcDoor('/spec.proto.runtime.v1.Runtime'),
  'dapr-grpc': grpcDoor('/dapr.proto.runtime.v1.Dapr'),
  'dapr-http': {
    get: (store, key) => ({
      protocol: 'http1',
      method: 'GET',
      path: `/v1.0/state/${store}/${key}`,
      headers: {},
    }),
    save: (store, key, value) => ({
      protocol: 'http1',
      method: 'POST',
      path: `/v1.0/state/${store}`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify([{ key, value }])),
    }),
  },
};

/**
 * @typedef {object} Request
 * @property {'h2' | 'http1'} protocol
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>} headers
 * @property {Buffer} [body] the whole request body, gRPC frame included
 */

/**
 * @param {string} door `layotto-grpc`, `dapr-grpc` or `dapr-http`
 * @param {'get' | 'save'} call
 * @param {{ store: string, key: string, value: string }} arguments_
 * @returns {Request}
 */
export function stateRequest(door, call, { store, key, value }) {
  return DOORS[door][call](store, key, value);
}

/**
 * A request for a listener that answers by itself, with the headers and the body of a real one. It is no gRPC
 * request, because Envoy's local answer to one would be an error.
 *
 * @param {Request} like
 * @returns {Request}
 */
export function emptyRequest(like) {
  const type = like.protocol === 'h2' ? { 'content-type': 'application/octet-stream' } : {};
  return { ...like, headers: { ...like.headers, ...type } };
}

function grpcDoor(service) {
  const request = (name, message) => ({
    protocol: 'h2',
    method: 'POST',
    path: `${service}/${name}`,
    headers: { 'content-type': 'application/grpc', te: 'trailers' },
    body: frame(message),
  });
  return {
    get: (store, key) => request('GetState', Buffer.concat([text(1, store), text(2, key)])),
    save: (store, key, value) =>
      request(
        'SaveState',
        Buffer.concat([text(1, store), bytes(2, Buffer.concat([text(1, key), text(2, value)]))]),
      ),
  };
}

function frame(message) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function text(field, value) {
  return bytes(field, Buffer.from(value));
}

function bytes(field, value) {
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(value.length), value]);
}

function varint(value) {
  const out = [];
  for (; value >= 128; value >>>= 7) out.push((value & 0x7f) | 0x80);
  return Buffer.from([...out, value]);
}
