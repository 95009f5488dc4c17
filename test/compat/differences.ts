import type { Differences } from './compare.js';

/** Why we answer otherwise than the peer. */
export interface KnownDifference {
  /** Field by field: the peer's answer and ours, exactly. */
  fields: Differences;
  /** Why ours is better, or why it is accepted. */
  reason: string;
}

const REASONS = {
  unconditional:
    "An empty ETag means no ETag, and a key once saved with first-write can still be saved without one: the peer's script leaves a mark that refuses every later unconditional save.",
  afterSave: 'The save with an empty ETag before it succeeded here, so the value is newer.',
  afterUnconditional: 'The unconditional save before it succeeded here, so the value is newer.',
  atomic:
    'A failed transaction leaves nothing behind here; the peer keeps the writes before the one that failed.',
  ownMetadata:
    'The components and capabilities are those that this runtime has, the version is its own, and it has no placement service and none of the preview features to name.',
  loneSurrogate:
    'The JSON is stored as the app wrote it; the peer decodes it and loses the lone surrogate on the way.',
  saidOnce: 'The text says once what went wrong; the peer wraps its own error in itself.',
  noQueries: 'No store serves queries, so the text does not point to a Redis module.',
  wrongKey: 'The request is wrong, so the code says INVALID_ARGUMENT, as Dapr does for the same text.',
  deleteWithoutEtag:
    'A delete without an ETag is unconditional; the peer compares with the empty ETag and refuses.',
  afterDelete: 'The delete before it succeeded here, so the key is gone.',
  transactionDelete:
    'A transaction may delete a key without an ETag; the peer compares with the empty ETag and fails.',
  afterTransaction: 'The transaction before it succeeded here, so the key is gone.',
  keepAlive:
    'The call works here, and says that the lock is not there; the peer has no implementation of it.',
  noConfiguration:
    'No store of this kind is configured, which FAILED_PRECONDITION says for every primitive; UNKNOWN says nothing.',
  unknownHello:
    'The request is wrong, so the code says INVALID_ARGUMENT, as for any other unknown component.',
  inOrder:
    'Items come in the order asked for, and the value is newer because the save with an empty ETag before it succeeded.',
};

/** Recording, then label of the row. */
export const differences: Record<string, Record<string, KnownDifference>> = {
  'dapr-http': {
    'get ls': { fields: { body: { peer: '\ufffdx', ours: '\ud800x' } }, reason: REASONS.loneSurrogate },
    'save empty etag': {
      fields: {
        status: { peer: 500, ours: 204 },
        'content-type': { peer: 'application/json', ours: undefined },
        body: {
          peer: {
            errorCode: 'ERR_STATE_SAVE',
            message:
              'failed saving state in state store statestore: failed to set key bench||a: ERR user_script:14: failed to set key bench||a script: d908b9553add63a82e03589b5c6d01a7654ef0f2, on @user_script:14.',
          },
          ours: '',
        },
      },
      reason: REASONS.unconditional,
    },
    'get a': {
      fields: { etag: { peer: '2', ours: '3' }, body: { peer: 'v2', ours: 'v7' } },
      reason: REASONS.afterSave,
    },
    'unconditional after first-write': {
      fields: {
        status: { peer: 500, ours: 204 },
        'content-type': { peer: 'application/json', ours: undefined },
        body: {
          peer: {
            errorCode: 'ERR_STATE_SAVE',
            message:
              'failed saving state in state store statestore: failed to set key bench||fw: ERR user_script:14: failed to set key bench||fw script: d908b9553add63a82e03589b5c6d01a7654ef0f2, on @user_script:14.',
          },
          ours: '',
        },
      },
      reason: REASONS.unconditional,
    },
    'get fw': {
      fields: { etag: { peer: '1', ours: '2' }, body: { peer: 1, ours: 3 } },
      reason: REASONS.afterUnconditional,
    },
    'multi with one bad etag': {
      fields: {
        message: {
          peer: 'failed saving state in state store statestore: possible etag mismatch. error from state store: possible etag mismatch. error from state store: ERR user_script:14: failed to set key bench||a script: d908b9553add63a82e03589b5c6d01a7654ef0f2, on @user_script:14.',
          ours: 'failed saving state in state store statestore: possible etag mismatch. error from state store: key bench||a: version 77 was asked for, it is at version 3',
        },
      },
      reason: REASONS.saidOnce,
    },
    'bulk get': {
      fields: {
        body: {
          peer: [
            { key: 'a', data: 'v2', etag: '2' },
            { key: 'nokey' },
            { key: 'arr', data: [1, 'x', { y: [] }], etag: '1' },
          ],
          ours: [
            { key: 'a', data: 'v7', etag: '3' },
            { key: 'nokey' },
            { key: 'arr', data: [1, 'x', { y: [] }], etag: '1' },
          ],
        },
      },
      reason: REASONS.afterSave,
    },
    'get tx3': {
      fields: {
        status: { peer: 200, ours: 204 },
        'content-type': { peer: 'application/json', ours: undefined },
        etag: { peer: '1', ours: undefined },
        body: { peer: 1, ours: '' },
      },
      reason: REASONS.atomic,
    },
    'query unsupported': {
      fields: {
        message: {
          peer: 'state store statestore query failed: redis-json server support is required for query capability',
          ours: 'state store statestore query failed: the store does not support queries',
        },
      },
      reason: REASONS.noQueries,
    },
    metadata: {
      fields: {
        body: {
          peer: {
            id: 'bench',
            runtimeVersion: '1.18.2',
            enabledFeatures: ['HotReload', 'WorkflowsRemoteActivityReminder'],
            components: [
              { name: 'lockstore', type: 'lock.redis', version: 'v1' },
              { name: 'pubsub', type: 'pubsub.redis', version: 'v1' },
              {
                name: 'statestore',
                type: 'state.redis',
                version: 'v1',
                capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE', 'ACTOR'],
              },
            ],
            extended: { daprRuntimeVersion: '1.18.2', k1: 'v1' },
            appConnectionProperties: { protocol: 'http', channelAddress: '127.0.0.1' },
            actorRuntime: {
              runtimeStatus: 'DISABLED',
              hostReady: false,
              placement: 'placement: disconnected',
            },
          },
          ours: {
            id: 'bench',
            runtimeVersion: '0.1.0',
            components: [
              { name: 'lockstore', type: 'lock.redis', version: 'v1' },
              { name: 'pubsub', type: 'pubsub.redis', version: 'v1' },
              {
                name: 'statestore',
                type: 'state.redis',
                version: 'v1',
                capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
              },
            ],
            extended: { daprRuntimeVersion: '0.1.0', k1: 'v1' },
            appConnectionProperties: { protocol: 'http', channelAddress: '127.0.0.1' },
            actorRuntime: { runtimeStatus: 'DISABLED', hostReady: false },
          },
        },
      },
      reason: REASONS.ownMetadata,
    },
  },
  'dapr-grpc': {
    'save empty etag': { fields: { code: { peer: 13, ours: 0 } }, reason: REASONS.unconditional },
    'get after': {
      fields: { response: { peer: { data: 'djI=', etag: '2' }, ours: { data: 'djc=', etag: '3' } } },
      reason: REASONS.afterSave,
    },
    'unconditional after first-write': {
      fields: { code: { peer: 13, ours: 0 } },
      reason: REASONS.unconditional,
    },
    'get fw': {
      fields: { response: { peer: { data: 'MQ==', etag: '1' }, ours: { data: 'Mw==', etag: '2' } } },
      reason: REASONS.afterUnconditional,
    },
    bulk: {
      fields: {
        response: {
          peer: {
            items: [
              { key: 'ga', data: 'djI=', etag: '2' },
              { key: 'gnokey' },
              { key: 'gb', data: 'dHdv', etag: '1' },
            ],
          },
          ours: {
            items: [
              { key: 'ga', data: 'djc=', etag: '3' },
              { key: 'gnokey' },
              { key: 'gb', data: 'dHdv', etag: '1' },
            ],
          },
        },
      },
      reason: REASONS.afterSave,
    },
    'get x3': {
      fields: { response: { peer: { data: 'MQ==', etag: '1' }, ours: {} } },
      reason: REASONS.atomic,
    },
    metadata: {
      fields: {
        response: {
          peer: {
            id: 'bench',
            components: [
              { name: 'lockstore', type: 'lock.redis', version: 'v1' },
              { name: 'pubsub', type: 'pubsub.redis', version: 'v1' },
              {
                name: 'statestore',
                type: 'state.redis',
                version: 'v1',
                capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE', 'ACTOR'],
              },
            ],
            extended: { daprRuntimeVersion: '1.18.2', k1: 'v1' },
            appConnectionProperties: { protocol: 'http', channelAddress: '127.0.0.1' },
            runtimeVersion: '1.18.2',
            enabledFeatures: ['HotReload', 'WorkflowsRemoteActivityReminder'],
            actorRuntime: { runtimeStatus: 'DISABLED', placement: 'placement: disconnected' },
          },
          ours: {
            id: 'bench',
            components: [
              { name: 'lockstore', type: 'lock.redis', version: 'v1' },
              { name: 'pubsub', type: 'pubsub.redis', version: 'v1' },
              {
                name: 'statestore',
                type: 'state.redis',
                version: 'v1',
                capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
              },
            ],
            extended: { k1: 'v1', daprRuntimeVersion: '0.1.0' },
            appConnectionProperties: { protocol: 'http', channelAddress: '127.0.0.1' },
            runtimeVersion: '0.1.0',
            actorRuntime: { runtimeStatus: 'DISABLED' },
          },
        },
      },
      reason: REASONS.ownMetadata,
    },
  },
  'layotto-grpc': {
    'save || key': { fields: { code: { peer: 2, ours: 3 } }, reason: REASONS.wrongKey },
    'get || key': { fields: { code: { peer: 2, ours: 3 } }, reason: REASONS.wrongKey },
    'save empty etag': { fields: { code: { peer: 10, ours: 0 } }, reason: REASONS.unconditional },
    'get after': {
      fields: { response: { peer: { data: 'djI=', etag: '2' }, ours: { data: 'djc=', etag: '3' } } },
      reason: REASONS.afterSave,
    },
    'unconditional after first-write': {
      fields: { code: { peer: 13, ours: 0 } },
      reason: REASONS.unconditional,
    },
    'get fw': {
      fields: { response: { peer: { data: 'MQ==', etag: '1' }, ours: { data: 'Mw==', etag: '2' } } },
      reason: REASONS.afterUnconditional,
    },
    bulk: {
      fields: {
        response: {
          peer: {
            items: [
              { key: 'lnokey' },
              { key: 'lb', data: 'dHdv', etag: '1' },
              { key: 'la', data: 'djI=', etag: '2' },
            ],
          },
          ours: {
            items: [
              { key: 'la', data: 'djc=', etag: '3' },
              { key: 'lnokey' },
              { key: 'lb', data: 'dHdv', etag: '1' },
            ],
          },
        },
      },
      reason: REASONS.inOrder,
    },
    transaction: { fields: { code: { peer: 13, ours: 0 } }, reason: REASONS.transactionDelete },
    'get deleted b': {
      fields: { response: { peer: { data: 'dHdv', etag: '1' }, ours: {} } },
      reason: REASONS.afterTransaction,
    },
    'get x3': {
      fields: { response: { peer: { data: 'MQ==', etag: '1' }, ours: {} } },
      reason: REASONS.atomic,
    },
    'delete no etag': { fields: { code: { peer: 10, ours: 0 } }, reason: REASONS.deleteWithoutEtag },
    'get after delete': {
      fields: { response: { peer: { data: 'eA==', etag: '1' }, ours: {} } },
      reason: REASONS.afterDelete,
    },
    keepalive: { fields: { code: { peer: 13, ours: 0 } }, reason: REASONS.keepAlive },
    'config not configured': {
      fields: { code: { peer: 2, ours: 9 } },
      reason: REASONS.noConfiguration,
    },
    'hello unknown': { fields: { code: { peer: 2, ours: 3 } }, reason: REASONS.unknownHello },
  },
};
