import { ScalarType } from '@bufbuild/protobuf';
import { getComments } from '@bufbuild/protoplugin';
import { className, flagName, memberName } from './names.mjs';
import { enumCodec, scalarCodecs } from './scalars.mjs';

/** @typedef {import('@bufbuild/protobuf').DescMessage} DescMessage */
/** @typedef {import('@bufbuild/protobuf').DescField} DescField */

/**
 * The code of one field, part by part.
 * @typedef {object} FieldCode
 * @property {string[]} declare members of the class
 * @property {string[]} cases of the switch over tags
 * @property {string[]} size statements that add to `size`
 * @property {string[]} write statements
 */

const LEN = 2;

/**
 * The class for a message.
 * @param {DescMessage} message
 * @returns {string[]}
 */
export function classLines(message) {
  const codes = message.fields.map(fieldCode);
  const part = (/** @type {keyof FieldCode} */ name, /** @type {number} */ depth) =>
    codes.flatMap((code) => code[name]).map((line) => (line === '' ? '' : '  '.repeat(depth) + line));
  const name = className(message);
  return [
    ...docLines(getComments(message).leading ?? ` ${message.typeName}`),
    `export class ${name} {`,
    ...part('declare', 1),
    '  /** What `byteSize` found last. */',
    '  encodedSize: i32 = 0;',
    '',
    '  /** Sets every field to its default. */',
    '  reset(): void {',
    ...message.fields.flatMap(resetLines).map((line) => `    ${line}`),
    '  }',
    '',
    '  /** Resets, then reads the message from `v`, which the fields go on pointing into. False if it is malformed. */',
    '  decode(v: View): bool {',
    '    this.reset();',
    '    const r = sharedReader;',
    '    r.reset(v);',
    '    if (this.merge(r)) return true;',
    '    this.reset();',
    '    return false;',
    '  }',
    '',
    '  /** Reads fields to the end of the reader on top of those that are set. */',
    '  merge(r: ProtoReader): bool {',
    '    while (r.next()) {',
    '      switch (r.tag) {',
    ...part('cases', 4),
    '        default:',
    '          r.skip();',
    '      }',
    '    }',
    '    return r.ok;',
    '  }',
    '',
    '  /** Writes the message. */',
    '  encode(w: ByteWriter): void {',
    '    this.byteSize();',
    '    this.write(w);',
    '  }',
    '',
    '  /** Bytes that `encode` writes. */',
    '  byteSize(): i32 {',
    '    let size = 0;',
    ...part('size', 2),
    '    this.encodedSize = size;',
    '    return size;',
    '  }',
    '',
    '  /** Writes the message; `byteSize` must have run since the last change, for the lengths of nested messages. */',
    '  write(w: ByteWriter): void {',
    ...part('write', 2),
    '  }',
    '}',
  ];
}

/**
 * @param {string} comment
 * @param {string} indent
 */
function docLines(comment, indent = '') {
  const lines = comment.replace(/\*\//g, '* /').trimEnd().split('\n');
  if (lines.length === 1) return [`${indent}/**${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} *${line}`), `${indent} */`];
}

/**
 * @param {DescField} field
 * @returns {FieldCode}
 */
function fieldCode(field) {
  const code = kindCode(field);
  const { leading } = getComments(field);
  if (leading) code.declare.unshift(...docLines(leading));
  return code;
}

/**
 * @param {DescField} field
 * @returns {FieldCode}
 */
function kindCode(field) {
  if (field.fieldKind === 'map') return mapCode(field);
  if (field.fieldKind === 'list')
    return field.listKind === 'message' ? messageListCode(field) : listCode(field);
  if (field.fieldKind === 'message') return messageCode(field);
  return singularCode(field);
}

/** @param {DescField} field */
function unsupported(field, /** @type {string} */ what) {
  return new Error(`${field.parent.typeName}.${field.name}: protoc-gen-as does not support ${what}`);
}

/** @param {DescField} field */
function codecOf(field) {
  if (field.enum) return enumCodec;
  const codec = field.scalar === undefined ? undefined : scalarCodecs.get(field.scalar);
  if (!codec) throw unsupported(field, 'this type');
  return codec;
}

/** @param {DescField} field */
function tagOf(field, /** @type {number} */ wireType) {
  const tag = field.number * 8 + wireType;
  let size = 1;
  for (let rest = tag; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return { tag, size, write: tag < 0x80 ? `w.u8(${tag});` : `w.varint(${tag});` };
}

/** @param {DescField} field */
function isExplicit(field) {
  return field.oneof !== undefined || field.proto.proto3Optional;
}

/**
 * Statements that give a field its default.
 * @param {DescField} field
 */
function resetLines(field) {
  const member = `this.${memberName(field)}`;
  if (field.fieldKind === 'map') return [`${member}.reset();`];
  if (field.fieldKind === 'list') return [`${member}.length = 0;`];
  if (field.fieldKind === 'message') return [`${member} = null;`];
  const lines = [`${member} = ${codecOf(field).zero};`];
  if (isExplicit(field)) lines.push(`this.${flagName(field)} = false;`);
  return lines;
}

/**
 * Statements that clear the other members of a field's oneof.
 * @param {DescField} field
 */
function clearSiblings(field) {
  const siblings = field.oneof?.fields.filter((other) => other !== field) ?? [];
  return siblings.flatMap(resetLines);
}

/**
 * @param {DescField} field a singular scalar or enum
 * @returns {FieldCode}
 */
function singularCode(field) {
  const codec = codecOf(field);
  const name = memberName(field);
  const member = `this.${name}`;
  const tag = tagOf(field, codec.wireType);
  const explicit = isExplicit(field);
  const flag = `this.${flagName(field)}`;
  const condition = explicit ? flag : codec.isSet(member);
  return {
    declare: [
      `${name}: ${codec.type} = ${codec.zero};`,
      ...(explicit ? [`${flagName(field)}: bool = false;`] : []),
    ],
    cases: [
      `case ${tag.tag}:`,
      ...clearSiblings(field).map((line) => `  ${line}`),
      `  ${member} = ${codec.read};`,
      ...(explicit ? [`  ${flag} = true;`] : []),
      '  break;',
    ],
    size: [`if (${condition}) size += ${tag.size} + ${codec.size(member)};`],
    write: [`if (${condition}) {`, `  ${tag.write}`, `  ${codec.write(member)}`, '}'],
  };
}

/**
 * @param {DescField} field a list of scalars or enums
 * @returns {FieldCode}
 */
function listCode(field) {
  const codec = codecOf(field);
  const name = memberName(field);
  const member = `this.${name}`;
  const one = tagOf(field, codec.wireType);
  const cases = [`case ${one.tag}:`, '  r.element();', `  ${member}.push(${codec.read});`, '  break;'];
  const each = `for (let i = 0, n = ${member}.length; i < n; i++)`;
  const item = `unchecked(${member}[i])`;
  const declare = [`${name}: Array<${codec.type}> = [];`];
  if (codec.wireType === LEN) {
    return {
      declare,
      cases,
      size: [`${each} size += ${one.size} + ${codec.size(item)};`],
      write: [`${each} {`, `  ${one.write}`, `  ${codec.write(item)}`, '}'],
    };
  }
  // both spellings are read, whichever the file asks for; written is the packed one
  if (!('packed' in field) || !field.packed) throw unsupported(field, '[packed = false]');
  const packed = tagOf(field, LEN);
  return {
    declare,
    cases: [
      ...cases,
      `case ${packed.tag}: {`,
      '  const outer = r.enter();',
      '  while (r.more()) {',
      '    r.element();',
      `    ${member}.push(${codec.read});`,
      '  }',
      '  r.leave(outer);',
      '  break;',
      '}',
    ],
    size: [
      `if (${member}.length != 0) {`,
      '  let length = 0;',
      `  ${each} length += ${codec.size(item)};`,
      `  size += ${packed.size} + delimitedSize(length);`,
      '}',
    ],
    write: [
      `if (${member}.length != 0) {`,
      '  let length = 0;',
      `  ${each} length += ${codec.size(item)};`,
      `  ${packed.write}`,
      '  w.varint(length);',
      `  ${each} ${codec.write(item)}`,
      '}',
    ],
  };
}

/**
 * @param {DescField} field a message
 * @returns {FieldCode}
 */
function messageCode(field) {
  if (field.delimitedEncoding) throw unsupported(field, 'groups');
  const type = className(/** @type {DescMessage} */ (field.message));
  const name = memberName(field);
  const member = `this.${name}`;
  const tag = tagOf(field, LEN);
  return {
    declare: [`${name}: ${type} | null = null;`],
    cases: [
      `case ${tag.tag}: {`,
      ...clearSiblings(field).map((line) => `  ${line}`),
      `  let value = ${member};`,
      '  if (value === null) {',
      `    value = new ${type}();`,
      `    ${member} = value;`,
      '  }',
      '  const outer = r.enter();',
      '  value.merge(r);',
      '  r.leave(outer);',
      '  break;',
      '}',
    ],
    size: [
      `const ${name}_ = ${member};`,
      `if (${name}_ !== null) size += ${tag.size} + delimitedSize(${name}_.byteSize());`,
    ],
    write: [
      `const ${name}_ = ${member};`,
      `if (${name}_ !== null) {`,
      `  ${tag.write}`,
      `  w.varint(${name}_.encodedSize);`,
      `  ${name}_.write(w);`,
      '}',
    ],
  };
}

/**
 * @param {DescField} field a list of messages
 * @returns {FieldCode}
 */
function messageListCode(field) {
  if (field.delimitedEncoding) throw unsupported(field, 'groups');
  const type = className(/** @type {DescMessage} */ (field.message));
  const name = memberName(field);
  const member = `this.${name}`;
  const tag = tagOf(field, LEN);
  const each = `for (let i = 0, n = ${member}.length; i < n; i++)`;
  return {
    declare: [`${name}: Array<${type}> = [];`],
    cases: [
      `case ${tag.tag}: {`,
      '  const outer = r.enter();',
      '  if (r.ok) {',
      `    const value = new ${type}();`,
      '    value.merge(r);',
      `    ${member}.push(value);`,
      '  }',
      '  r.leave(outer);',
      '  break;',
      '}',
    ],
    size: [`${each} size += ${tag.size} + delimitedSize(unchecked(${member}[i]).byteSize());`],
    write: [
      `${each} {`,
      `  const value = unchecked(${member}[i]);`,
      `  ${tag.write}`,
      '  w.varint(value.encodedSize);',
      '  value.write(w);',
      '}',
    ],
  };
}

/**
 * @param {DescField} field a map
 * @returns {FieldCode}
 */
function mapCode(field) {
  if (field.mapKey !== ScalarType.STRING || field.scalar !== ScalarType.STRING) {
    throw unsupported(field, 'maps other than map<string, string>');
  }
  const name = memberName(field);
  const member = `this.${name}`;
  const tag = tagOf(field, LEN);
  return {
    declare: [`${name}: StringMap = new StringMap();`],
    cases: [`case ${tag.tag}:`, `  ${member}.merge(r);`, '  break;'],
    size: [`size += ${member}.byteSize(${tag.size});`],
    write: [`${member}.write(w, ${tag.tag});`],
  };
}
