/** Members every generated class has; a field of the same name gets an underscore. */
const TAKEN = new Set([
  'reset',
  'decode',
  'merge',
  'encode',
  'byteSize',
  'write',
  'encodedSize',
  'constructor',
  'toString',
]);

/**
 * `Outer_Inner` for nested types, as protobuf-es spells them.
 * @param {import('@bufbuild/protobuf').DescMessage | import('@bufbuild/protobuf').DescEnum} type
 * @returns {string}
 */
export function className(type) {
  return type.parent ? `${className(type.parent)}_${type.name}` : type.name;
}

/**
 * The camelCase name of a field.
 * @param {import('@bufbuild/protobuf').DescField} field
 */
export function memberName(field) {
  const name = field.localName.replace(/\$$/, '_');
  return TAKEN.has(name) ? `${name}_` : name;
}

/**
 * The flag that says whether a field with presence is there.
 * @param {import('@bufbuild/protobuf').DescField} field
 */
export function flagName(field) {
  const name = memberName(field);
  return `has${name[0].toUpperCase()}${name.slice(1)}`;
}
