import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import { answerStaleness } from '../config/answer-in-envoy.js';
import * as dapr from '../gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as pb from '../gen/layotto/bridge/v1/configuration_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Answer, Behind, Method, UnaryMethod } from './method.js';
import { withDetails } from './refused.js';
import type { Refused } from './refused.js';

const CONFIGURATION = 'configuration';
const OPERATIONS = pb.Configuration.typeName;

/** The configuration methods of both APIs. */
export function configurationMethods(): Method[] {
  return [...layottoMethods(), ...daprMethods('', 'Alpha1')];
}

/** Layotto's messages are the bridge's. */
function layottoMethods(): Method[] {
  const method = (name: string, request: DescMessage, failing = ''): UnaryMethod => {
    const storeOf = (asked: unknown) => (asked as { storeName: string }).storeName;
    return forwarded({
      path: LAYOTTO + name,
      primitive: CONFIGURATION,
      operation: `${OPERATIONS}/${name}`,
      request,
      malformed: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF },
      component: storeOf,
      check: (asked, behind) => {
        const store = storeOf(asked);
        if (behind.find(CONFIGURATION, store) !== undefined) return undefined;
        const code = behind.serves(CONFIGURATION) ? Code.INVALID_ARGUMENT : Code.FAILED_PRECONDITION;
        return { code, message: `configure store [${clip(store)}] don't support now` };
      },
      answer: (message, asked, behind) =>
        name === 'GetConfiguration' ? aged(message, storeOf(asked), behind) : { message },
      failed: ({ code, message }) => ({ code, message: failing + clip(message) }),
    });
  };
  return [
    method('GetConfiguration', pb.GetConfigurationRequestSchema, 'get configuration failed with error: '),
    method('SaveConfiguration', pb.SaveConfigurationRequestSchema),
    method('DeleteConfiguration', pb.DeleteConfigurationRequestSchema),
    {
      kind: 'stream',
      path: `${LAYOTTO}SubscribeConfiguration`,
      primitive: CONFIGURATION,
      unserved: {
        code: Code.INVALID_ARGUMENT,
        message:
          'no configuration store is configured; add a component of a type that starts with configuration.',
      },
    },
  ];
}

/** @param suffixes names under which each method is known, behind their own */
function daprMethods(...suffixes: string[]): Method[] {
  return suffixes.flatMap((suffix): Method[] => [
    daprGet(suffix),
    daprUnsubscribe(suffix),
    {
      kind: 'stream',
      path: `${DAPR}SubscribeConfiguration${suffix}`,
      primitive: CONFIGURATION,
      unserved: { code: Code.FAILED_PRECONDITION, message: NOT_CONFIGURED },
    },
  ]);
}

const NOT_CONFIGURED = 'configuration stores not configured';
const MALFORMED = withDetails(Code.INVALID_ARGUMENT, NOT_PROTOBUF, { reason: 'ERR_MALFORMED_REQUEST' });

/** The one method whose messages differ from the bridge's. */
function daprGet(suffix: string): UnaryMethod {
  return forwarded({
    path: `${DAPR}GetConfiguration${suffix}`,
    primitive: CONFIGURATION,
    operation: `${OPERATIONS}/GetConfiguration`,
    request: dapr.GetConfigurationRequestSchema,
    malformed: MALFORMED,
    component: ({ storeName }) => storeName,
    check: ({ storeName }, behind) => checkDaprStore(storeName, behind),
    build: ({ storeName, keys, metadata }) =>
      toBinary(
        pb.GetConfigurationRequestSchema,
        create(pb.GetConfigurationRequestSchema, { storeName, keys, metadata }),
      ),
    answer: (payload, { storeName }, behind) => aged(daprItems(payload), storeName, behind),
    failed: ({ code, message }, { keys, storeName }) => {
      const what = `[${shownKeys(keys)}] from Configuration store ${clip(storeName)}`;
      const reason = 'ERR_CONFIGURATION_GET';
      return withDetails(code, `failed to get ${what}: ${clip(message)}`, { reason });
    },
  });
}

function daprUnsubscribe(suffix: string): UnaryMethod {
  return forwarded({
    path: `${DAPR}UnsubscribeConfiguration${suffix}`,
    primitive: CONFIGURATION,
    operation: `${OPERATIONS}/UnsubscribeConfiguration`,
    request: pb.UnsubscribeConfigurationRequestSchema,
    malformed: MALFORMED,
    component: ({ storeName }) => storeName,
    check: ({ storeName }, behind) => checkDaprStore(storeName, behind),
    failed: ({ code, message }) =>
      withDetails(code, clip(message), { reason: 'ERR_CONFIGURATION_UNSUBSCRIBE' }),
  });
}

function checkDaprStore(store: string, behind: Behind): Refused | undefined {
  if (behind.find(CONFIGURATION, store) !== undefined) return undefined;
  if (behind.serves(CONFIGURATION)) {
    const reason = 'ERR_CONFIGURATION_STORE_NOT_FOUND';
    return withDetails(Code.INVALID_ARGUMENT, `configuration store ${clip(store)} not found`, { reason });
  }
  const reason = 'ERR_CONFIGURATION_STORE_NOT_CONFIGURED';
  return withDetails(Code.FAILED_PRECONDITION, NOT_CONFIGURED, { reason });
}

function daprItems(payload: Uint8Array): Uint8Array {
  const { items } = fromBinary(pb.GetConfigurationResponseSchema, payload);
  const entries = items.map(({ key, content, version, metadata }) => {
    return { key, value: { value: content, version, metadata } };
  });
  return toBinary(
    dapr.GetConfigurationResponseSchema,
    create(dapr.GetConfigurationResponseSchema, { items: entries }),
  );
}

/** Says, for a store whose answers Envoy may give too, how old this one is in milliseconds: it is the store's own. */
function aged(message: Uint8Array, store: string, behind: Behind): Answer {
  const component = behind.find(CONFIGURATION, store);
  if (component === undefined || answerStaleness(component) === undefined) return { message };
  return { message, headers: { 'layotto-configuration-age': '0' } };
}

/** Keys that an error text repeats, and bytes of all of them. */
const KEYS_SHOWN = 8;
const KEY_BYTES_SHOWN = 256;

/** The first keys as an error text shows them. */
function shownKeys(keys: readonly string[]): string {
  let shown = '';
  for (const [index, key] of keys.entries()) {
    if (index > 0) shown += ' ';
    if (index === KEYS_SHOWN || Buffer.byteLength(shown) + Buffer.byteLength(key) > KEY_BYTES_SHOWN) {
      return `${shown}…`;
    }
    shown += key;
  }
  return shown;
}
