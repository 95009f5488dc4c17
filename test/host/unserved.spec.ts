import { Filter, grpcHeaders } from './harness.js';

const EXTENSION = '/spec.proto.extension.v1';
const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';

describe('calls that no primitive serves', () => {
  test.each([
    [`${EXTENSION}.s3.ObjectStorageService/PutObject`, 'object storage'],
    [`${EXTENSION}.s3.ObjectStorageService/SignURL`, 'object storage'],
    [`${EXTENSION}.cryption.CryptionService/Encrypt`, 'encryption'],
    [`${EXTENSION}.email.EmailService/SendEmail`, 'email'],
    [`${EXTENSION}.phone.PhoneCallService/SendVoiceWithTemplate`, 'calling phones'],
    [`${EXTENSION}.sms.SmsService/SendSmsWithTemplate`, 'sending text messages'],
    [`${DAPR}/GetActorState`, 'actors'],
    [`${DAPR}/StartWorkflowBeta1`, 'workflows'],
    [`${DAPR}/DeleteJob`, 'jobs'],
  ])('gRPC: %s', async (path, missing) => {
    const filter = await Filter.connected();
    // At its headers: a stream is refused before it sends anything.
    const stream = filter.host.openStream(filter.root);
    stream.callOnRequestHeaders(grpcHeaders(path), false);
    expect(stream.answer).toMatchObject({
      grpcStatus: 12,
      grpcMessage: `method ${path} is not implemented by this runtime: ${missing} is not served by this version`,
    });
  });

  test.each([`${LAYOTTO}/NoSuchMethod`, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'])(
    'gRPC: %s, which no API has',
    async (path) => {
      const filter = await Filter.connected();
      expect(filter.grpc(path, new Uint8Array(0)).answer).toMatchObject({
        grpcStatus: 12,
        grpcMessage: `method ${path} is not implemented by this runtime`,
      });
    },
  );

  test.each([
    ['GET', '/v1.0/invoke/other/method/x', 'service invocation'],
    ['PUT', '/v1.0-alpha1/crypto/vault/encrypt', 'cryptography'],
    ['POST', '/v1.0-layotto/oss/PutObject', 'object storage'],
    ['POST', '/v1.0-layotto/cryption/Encrypt', 'encryption'],
    ['POST', '/v1.0-layotto/delay_queue/PublishDelayMessage', 'the delay queue'],
    ['POST', '/v1.0-layotto/email/SendEmail', 'email'],
    ['POST', '/v1.0-layotto/phone/SendVoiceWithTemplate', 'calling phones'],
    ['POST', '/v1.0-layotto/sms/SendSmsWithTemplate', 'sending text messages'],
  ])('HTTP: %s %s', async (method, path, missing) => {
    const filter = await Filter.connected();
    const { answer } = filter.http(method, path, '{}');
    expect(answer?.status).toBe(501);
    expect(JSON.parse(answer?.body.toString() ?? '')).toEqual({
      errorCode: path.startsWith('/v1.0-layotto/') ? 'UNIMPLEMENTED' : 'ERR_API_UNIMPLEMENTED',
      message: `this API is currently not implemented: ${missing} is not served by this version`,
    });
  });

  test('HTTP: a call for another app', async () => {
    const filter = await Filter.connected();
    const { answer } = filter.http('GET', '/orders', undefined, { 'dapr-app-id': 'other' });
    expect(answer?.status).toBe(501);
    expect(answer?.body.toString()).toContain('service invocation is not served by this version');
  });
});
