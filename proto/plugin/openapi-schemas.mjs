import { ScalarType } from '@bufbuild/protobuf';
import { getComments } from '@bufbuild/protoplugin';

/** @typedef {import('@bufbuild/protobuf').DescMessage} DescMessage */
/** @typedef {import('@bufbuild/protobuf').DescEnum} DescEnum */
/** @typedef {import('@bufbuild/protobuf').DescField} DescField */
/** @typedef {import('./json-operations.mjs').JsonOperation} JsonOperation */
/** @typedef {Record<string, unknown>} Schema */

/** @type {Map<ScalarType, Schema>} */
const SCALARS = new Map([
  [ScalarType.STRING, { type: 'string' }],
  [ScalarType.BYTES, { type: 'string', contentEncoding: 'base64' }],
  [ScalarType.BOOL, { type: 'boolean' }],
  // NaN and the infinities are texts.
  ...each([ScalarType.FLOAT, ScalarType.DOUBLE], { type: ['number', 'string'] }),
  ...each([ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32], {
    type: 'integer',
    minimum: -(2 ** 31),
    maximum: 2 ** 31 - 1,
  }),
  ...each([ScalarType.UINT32, ScalarType.FIXED32], { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 }),
  ...each([ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64], {
    type: 'string',
    pattern: '^-?[0-9]+$',
  }),
  ...each([ScalarType.UINT64, ScalarType.FIXED64], { type: 'string', pattern: '^[0-9]+$' }),
]);

/**
 * @param {ScalarType[]} types
 * @param {Schema} schema
 * @returns {[ScalarType, Schema][]}
 */
function each(types, schema) {
  return types.map((type) => [type, schema]);
}

/** JSON schemas of messages as proto3 JSON, each entered once by its name. */
export class MessageSchemas {
  /** @type {Map<string, Schema>} */
  #byName = new Map();

  /** @param {readonly JsonOperation[]} operations */
  constructor(operations) {
    for (const { method, component } of operations) {
      this.#enter(method.input);
      this.#enter(method.output);
      if (component !== undefined) this.#require(method.input, component.json.split('.'));
    }
  }

  /** @returns {Record<string, Schema>} by name, in order */
  get all() {
    return Object.fromEntries([...this.#byName].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** @param {DescMessage | DescEnum} type */
  #enter(type) {
    const name = schemaName(type);
    if (this.#byName.has(name)) return;
    /** @type {Schema} */
    const schema = {};
    this.#byName.set(name, schema);
    if (type.kind === 'enum') Object.assign(schema, enumSchema(type));
    else {
      Object.assign(schema, {
        type: 'object',
        ...described(textOf(type)),
        properties: Object.fromEntries(
          type.fields.map((field) => [field.jsonName, this.#fieldSchema(field)]),
        ),
        additionalProperties: false,
      });
    }
  }

  /**
   * Says that the fields on the way to a component's name have to be there.
   * @param {DescMessage} message
   * @param {string[]} path
   */
  #require(message, [name, ...rest]) {
    const schema = /** @type {Schema} */ (this.#byName.get(schemaName(message)));
    schema.required = [name];
    const field = message.fields.find(({ jsonName }) => jsonName === name);
    if (field?.message !== undefined && rest.length > 0) this.#require(field.message, rest);
  }

  /** @param {DescField} field */
  #fieldSchema(field) {
    const about = described(textOf(field));
    switch (field.fieldKind) {
      case 'list':
        return { type: 'array', ...about, items: this.#valueSchema(field) };
      case 'map':
        return { type: 'object', ...about, additionalProperties: this.#valueSchema(field) };
      default:
        return { ...this.#valueSchema(field), ...about };
    }
  }

  /** @param {DescField} field */
  #valueSchema(field) {
    const type = field.message ?? field.enum;
    if (type !== undefined) {
      // Each of these has a form of its own in JSON.
      if (type.typeName.startsWith('google.protobuf.')) return {};
      this.#enter(type);
      return { $ref: `#/components/schemas/${schemaName(type)}` };
    }
    const schema = SCALARS.get(/** @type {ScalarType} */ (field.scalar));
    if (schema === undefined)
      throw new Error(`${field.parent.typeName}.${field.name}: no schema for its type`);
    return schema;
  }
}

/**
 * `Outer.Inner` for nested types.
 * @param {DescMessage | DescEnum} type
 * @returns {string}
 */
export function schemaName(type) {
  return type.parent ? `${schemaName(type.parent)}.${type.name}` : type.name;
}

/** @param {DescEnum} type */
function enumSchema(type) {
  const values = type.values.flatMap((value) => {
    const text = textOf(value);
    return text === '' ? [] : [`\`${value.name}\`: ${text}`];
  });
  return {
    type: 'string',
    ...described([textOf(type), ...values].filter((text) => text !== '').join('\n\n')),
    enum: type.values.map(({ name }) => name),
  };
}

/**
 * A comment as a text without its line breaks.
 * @param {Parameters<typeof getComments>[0]} desc
 */
export function textOf(desc) {
  return (getComments(desc).leading ?? '').replace(/\s+/g, ' ').trim();
}

/** @param {string} description */
function described(description) {
  return description === '' ? {} : { description };
}
