import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as hello from '../../components-bridge/src/gen/layotto/bridge/v1/hello_pb.js';
import * as lifecycle from '../../components-bridge/src/gen/layotto/bridge/v1/lifecycle_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const GREETER: PluginComponent = {
  name: 'helloworld',
  type: 'hello.helloworld',
  version: 'v1',
  primitive: 'hello',
  capabilities: [],
};

const connected = (): Promise<Filter> => Filter.connected({ components: [GREETER] });

describe('SayHello', () => {
  const PATH = '/spec.proto.runtime.v1.Runtime/SayHello';
  const message = (serviceName: string): Uint8Array => {
    const request = { serviceName, name: 'Ada', data: Buffer.from('0a017a', 'hex') };
    return toBinary(hello.SayHelloRequestSchema, create(hello.SayHelloRequestSchema, request));
  };

  test('goes out as it came, and its result comes back', async () => {
    const filter = await connected();
    const stream = filter.grpc(PATH, message('helloworld'));
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Hellos/SayHello');
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message('helloworld')));
    filter.bridge.result(request, hello.SayHelloResponseSchema, { hello: 'hi, Ada' });
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(fromBinary(hello.SayHelloResponseSchema, answer as Buffer).hello).toBe('hi, Ada');
  });

  test('says that there is no such instance, and what failed', async () => {
    const filter = await connected();
    expect(filter.grpc(PATH, message('nope')).answer).toMatchObject({
      grpcStatus: 3,
      grpcMessage: 'no instance found',
    });
    const stream = filter.grpc(PATH, message('helloworld'));
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'not ready');
    expect(stream.answer).toMatchObject({ grpcStatus: 14, grpcMessage: 'not ready' });
    expect(filter.grpc(PATH, Buffer.from('0a05', 'hex')).answer?.grpcStatus).toBe(3);
  });
});

describe('ApplyConfiguration', () => {
  const PATH = '/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration';
  type Settings = { kind?: string; name?: string; metadata?: Record<string, string> };
  const message = (componentConfig: Settings | undefined): Uint8Array =>
    toBinary(
      lifecycle.DynamicConfigurationSchema,
      create(
        lifecycle.DynamicConfigurationSchema,
        componentConfig === undefined ? {} : { componentConfig: componentConfig as never },
      ),
    );
  const full = { kind: 'hellos', name: 'helloworld', metadata: { hello: 'hi' } };

  test('goes out as it came', async () => {
    const filter = await connected();
    const stream = filter.grpc(PATH, message(full));
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Lifecycle/ApplyConfiguration');
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message(full)));
    filter.bridge.result(request, lifecycle.ApplyConfigurationResponseSchema, {});
    expect(stream.answer).toMatchObject({ grpcStatus: 0, body: Buffer.alloc(5) });
  });

  test.each<[string, Settings | undefined]>([
    ['field kind is not configured', undefined],
    ['field kind is not configured', { ...full, kind: '' }],
    ['field name is not configured', { ...full, name: '' }],
    ['field metadata is not configured', { ...full, metadata: {} }],
  ])('%s', async (grpcMessage, settings) => {
    const filter = await connected();
    const stream: HttpStream = filter.grpc(PATH, message(settings));
    expect(stream.answer).toMatchObject({ grpcStatus: 3, grpcMessage });
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('says what is wrong, is not repeated, and knows a malformed message', async () => {
    const filter = await connected();
    const refused = filter.grpc(PATH, message(full));
    filter.bridge.failure(filter.bridge.lastRequest(), 3, 'metadata.helo: unknown');
    expect(refused.answer).toMatchObject({ grpcStatus: 3, grpcMessage: 'metadata.helo: unknown' });
    expect(filter.grpc(PATH, Buffer.from('0a05', 'hex')).answer?.grpcStatus).toBe(3);
    const lost = filter.grpc(PATH, message(full));
    filter.bridge.close();
    expect(lost.answer?.grpcStatus).toBe(14);
  });
});
