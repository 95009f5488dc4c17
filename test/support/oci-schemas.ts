/**
 * What the OCI image specification demands (image-spec 1.1: schema/*.json and the tables of image-layout.md, manifest.md
 * and config.md), as JSON schemas.
 */

const MEDIA_TYPE = {
  type: 'string',
  pattern: '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$',
};
const DIGEST = { type: 'string', pattern: '^sha256:[a-f0-9]{64}$' };
const ANNOTATIONS = { type: 'object', additionalProperties: { type: 'string' } };
const PLATFORM = {
  type: 'object',
  required: ['architecture', 'os'],
  properties: { architecture: { type: 'string' }, os: { type: 'string' } },
};
const DESCRIPTOR = {
  type: 'object',
  required: ['mediaType', 'digest', 'size'],
  properties: {
    mediaType: MEDIA_TYPE,
    digest: DIGEST,
    size: { type: 'integer', minimum: 1 },
    annotations: ANNOTATIONS,
    platform: PLATFORM,
  },
};
const DATE = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' };
const TEXTS = { type: 'array', items: { type: 'string' } };

export const LAYOUT_SCHEMA = {
  type: 'object',
  required: ['imageLayoutVersion'],
  properties: { imageLayoutVersion: { const: '1.0.0' } },
};

export const INDEX_SCHEMA = {
  type: 'object',
  required: ['schemaVersion', 'manifests'],
  properties: {
    schemaVersion: { const: 2 },
    mediaType: { const: 'application/vnd.oci.image.index.v1+json' },
    manifests: { type: 'array', items: DESCRIPTOR },
    annotations: ANNOTATIONS,
  },
};

export const MANIFEST_SCHEMA = {
  type: 'object',
  required: ['schemaVersion', 'config', 'layers'],
  properties: {
    schemaVersion: { const: 2 },
    mediaType: { const: 'application/vnd.oci.image.manifest.v1+json' },
    config: DESCRIPTOR,
    layers: { type: 'array', minItems: 1, items: DESCRIPTOR },
    annotations: ANNOTATIONS,
  },
};

export const CONFIG_SCHEMA = {
  type: 'object',
  required: ['architecture', 'os', 'rootfs'],
  properties: {
    ...PLATFORM.properties,
    created: DATE,
    config: {
      type: 'object',
      properties: {
        User: { type: 'string' },
        Env: TEXTS,
        Entrypoint: TEXTS,
        Cmd: TEXTS,
        WorkingDir: { type: 'string' },
        Labels: ANNOTATIONS,
      },
      additionalProperties: false,
    },
    rootfs: {
      type: 'object',
      required: ['type', 'diff_ids'],
      properties: { type: { const: 'layers' }, diff_ids: { type: 'array', items: DIGEST } },
    },
    history: {
      type: 'array',
      items: {
        type: 'object',
        properties: { created: DATE, created_by: { type: 'string' }, comment: { type: 'string' } },
        additionalProperties: false,
      },
    },
  },
  additionalProperties: false,
};
