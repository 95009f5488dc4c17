import { compareGrpc, compareHttp, type HttpOutcome } from './compare.js';

const error = (code: number, message: string) => ({ error: { code, message, details: [] } });
const http = (status: number, body: string): HttpOutcome => ({ status, headers: {}, body });

test('equal outcomes have no differences', () => {
  expect(compareGrpc({ response: { etag: '1' } }, { response: { etag: '1' } })).toEqual({});
  expect(compareGrpc(error(3, 'no such store'), error(3, 'no such store'))).toEqual({});
  expect(compareHttp(http(200, '{"a":1,"b":2}'), http(200, '{ "b": 2, "a": 1 }'))).toEqual({});
});

test('a message counts up to where the peer quotes Redis or a Go library', () => {
  const peer = error(
    10,
    'failed saving: possible etag mismatch. error from state store: ERR user_script:14: no',
  );
  const ours = error(10, 'failed saving: possible etag mismatch. error from state store: version is 2');
  expect(compareGrpc(peer, ours)).toEqual({});
  expect(compareGrpc(peer, error(10, 'failed saving: version is 2'))).toHaveProperty('message');
  expect(compareGrpc(error(3, 'bad key'), error(3, 'bad key!'))).toHaveProperty('message');
});

test('every field that differs is named with both values', () => {
  expect(compareGrpc(error(2, 'm'), error(3, 'm'))).toEqual({ code: { peer: 2, ours: 3 } });
  expect(compareGrpc({ response: {} }, error(3, 'm'))).toEqual({
    code: { peer: 0, ours: 3 },
    message: { peer: undefined, ours: 'm' },
  });
  expect(compareGrpc(error(3, 'm'), { response: {} })).toEqual({ code: { peer: 3, ours: 0 } });
  expect(
    compareHttp(http(400, '{"errorCode":"A","message":"m"}'), http(500, '{"errorCode":"B","message":"m"}')),
  ).toEqual({ status: { peer: 400, ours: 500 }, errorCode: { peer: 'A', ours: 'B' } });
  expect(compareHttp(http(200, '1'), http(200, '2'))).toEqual({ body: { peer: 1, ours: 2 } });
});
