import type { HeaderField } from '../support/h2/hpack.js';
import type { Random } from '../wire/random.js';
import type { FuzzCase } from './cases.js';
import { anEnding, inPieces, someTrailers } from './delivery.js';
import { h2Abuse } from './h2-abuse.js';
import {
  AUTHORITIES,
  brokenHeaders,
  GRPC_TYPES,
  moreHeaders,
  OTHER_TYPES,
  withShortDeadline,
} from './headers.js';
import { aFraming, aMessage, METADATA_METHODS, STATE_METHODS, type Method } from './messages.js';

/** The two gRPC doors, by the service they serve. */
export const SERVICES = {
  'layotto-grpc': 'spec.proto.runtime.v1.Runtime',
  'dapr-grpc': 'dapr.proto.runtime.v1.Dapr',
} as const;

export type GrpcDoorName = keyof typeof SERVICES;

export function methodsOf(door: GrpcDoorName): readonly Method[] {
  return door === 'dapr-grpc' ? [...STATE_METHODS, ...METADATA_METHODS] : STATE_METHODS;
}

/** An input for one of the gRPC doors. @param limit `limits.message`, in bytes */
export function grpcCase(door: GrpcDoorName, random: Random, limit: number): FuzzCase {
  if (random.oneIn(150)) {
    const { what, bytes } = h2Abuse(random, headersOf(door));
    return { wire: 'raw', what, parts: [bytes], ending: 'hang-up' };
  }
  const method = random.pick(methodsOf(door));
  const [message, what] = aMessage(method, random, limit);
  const [body, framing] = aFraming(message, random);
  const notes = [method.name, what, ...(framing === undefined ? [] : [framing])];

  let path = `/${SERVICES[door]}/${method.name}`;
  if (random.oneIn(20)) {
    path = aPath(path, random);
    notes.push('another path');
  }
  const odd = random.oneIn(30);
  const fields: HeaderField[] = [
    [':method', odd ? random.pick(['POST', 'GET', 'PUT', 'OPTIONS', 'HEAD']) : 'POST'],
    [':scheme', odd && random.oneIn(2) ? random.pick(['https', 'http']) : 'http'],
    [':authority', random.oneIn(40) ? random.pick(AUTHORITIES) : 'localhost'],
    [':path', path],
    ['content-type', aType(random)],
    ['te', 'trailers'],
    ...moreHeaders(random),
  ];
  const ending = anEnding(random);
  let notHttp = false;
  if (random.oneIn(50)) {
    const [broken, why] = brokenHeaders(random);
    fields.push(...broken);
    notes.push(why);
    notHttp = true;
  } else if (random.oneIn(150)) {
    fields.splice(random.below(4), 1);
    notes.push('a pseudo header is missing');
    notHttp = true;
  }
  return {
    wire: 'h2',
    what: notes.join(', '),
    fields: ending === 'open' ? withShortDeadline(fields, random) : fields,
    parts: inPieces(body, random),
    ending,
    trailers: ending === 'trailers' ? someTrailers(random) : [],
    notHttp,
  };
}

function headersOf(door: GrpcDoorName): HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', `/${SERVICES[door]}/GetState`],
    ['content-type', 'application/grpc'],
  ];
}

function aType(random: Random): string {
  if (!random.oneIn(15)) return 'application/grpc';
  return random.pick(random.oneIn(2) ? GRPC_TYPES : OTHER_TYPES);
}

function aPath(path: string, random: Random): string {
  return random.pick([
    `${path}x`,
    `${path}/`,
    `/${path}`,
    path.toLowerCase(),
    path.slice(0, -1),
    '/',
    '/grpc.health.v1.Health/Check',
    `/${'p'.repeat(3_000)}`,
    `${path}?a=b`,
    `${path}?${'q'.repeat(500)}`,
    path.replace('/', '/%20%zz%00'),
    '/v1.0/state/statestore/k1',
  ]);
}
