import { ScalarType } from '@bufbuild/protobuf';

const VARINT = 0;
const FIXED64 = 1;
const LEN = 2;
const FIXED32 = 5;

/**
 * How one kind of value is held, read and written.
 * @typedef {object} Codec
 * @property {string} type its AssemblyScript type
 * @property {number} wireType
 * @property {string} zero the default value
 * @property {string} read expression that reads one value from `r`
 * @property {(value: string) => string} isSet condition for a value that differs from the default
 * @property {(value: string) => string} size expression for its bytes without the tag
 * @property {(value: string) => string} write statement that writes it without the tag
 */

/**
 * @param {string} type
 * @param {string} zero
 * @param {string} read
 * @param {(value: string) => string} toU64
 * @returns {Codec}
 */
function varint(type, zero, read, toU64) {
  return {
    type,
    wireType: VARINT,
    zero,
    read,
    isSet: (value) => (type === 'bool' ? value : `${value} != 0`),
    size: (value) => (type === 'bool' ? '1' : `varintSize(${toU64(value)})`),
    write: (value) => (type === 'bool' ? `w.u8(${value} ? 1 : 0);` : `w.varint(${toU64(value)});`),
  };
}

/**
 * @param {string} type
 * @param {32 | 64} bits
 * @returns {Codec}
 */
function fixed(type, bits) {
  const raw = `u${bits}`;
  const float = type.startsWith('f');
  const asRaw = (/** @type {string} */ value) => {
    if (float) return `reinterpret<${raw}>(${value})`;
    return type === raw ? value : `<${raw}>${value}`;
  };
  const read = `r.fixed${bits}()`;
  const typed = float ? `reinterpret<${type}>(${read})` : `<${type}>${read}`;
  return {
    type,
    wireType: bits === 32 ? FIXED32 : FIXED64,
    zero: '0',
    read: type === raw ? read : typed,
    // by bits, so that negative zero is kept
    isSet: (value) => `${asRaw(value)} != 0`,
    size: () => String(bits / 8),
    write: (value) => `w.u${bits}le(${asRaw(value)});`,
  };
}

/**
 * @param {string} read
 * @returns {Codec}
 */
function delimited(read) {
  return {
    type: 'View',
    wireType: LEN,
    zero: '0',
    read,
    isSet: (value) => `viewLen(${value}) != 0`,
    size: (value) => `delimitedSize(viewLen(${value}))`,
    write: (value) => `w.delimited(${value});`,
  };
}

// negative 32-bit numbers are written sign-extended, in 10 bytes
const signed = (/** @type {string} */ value) => `<u64>(<i64>${value})`;
const unsigned = (/** @type {string} */ value) => `<u64>${value}`;
const zigzag = (/** @type {string} */ value) => `zigzag(${value})`;

/** Enums are open: any 32-bit number. */
export const enumCodec = varint('i32', '0', '<i32>r.varint()', signed);

/** @type {Map<ScalarType, Codec>} */
export const scalarCodecs = new Map([
  [ScalarType.DOUBLE, fixed('f64', 64)],
  [ScalarType.FLOAT, fixed('f32', 32)],
  [ScalarType.INT64, varint('i64', '0', '<i64>r.varint()', unsigned)],
  [ScalarType.UINT64, varint('u64', '0', 'r.varint()', (value) => value)],
  [ScalarType.INT32, varint('i32', '0', '<i32>r.varint()', signed)],
  [ScalarType.FIXED64, fixed('u64', 64)],
  [ScalarType.FIXED32, fixed('u32', 32)],
  [ScalarType.BOOL, varint('bool', 'false', 'r.varint() != 0', unsigned)],
  [ScalarType.STRING, delimited('r.string()')],
  [ScalarType.BYTES, delimited('r.bytes()')],
  [ScalarType.UINT32, varint('u32', '0', '<u32>r.varint()', unsigned)],
  [ScalarType.SFIXED32, fixed('i32', 32)],
  [ScalarType.SFIXED64, fixed('i64', 64)],
  [ScalarType.SINT32, varint('i32', '0', 'r.zigzag32()', zigzag)],
  [ScalarType.SINT64, varint('i64', '0', 'r.zigzag64()', zigzag)],
]);
