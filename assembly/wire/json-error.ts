/** Why a JSON text was refused. */
export enum JsonError {
  NONE,
  /** Nothing but white space where a value was due. */
  EMPTY,
  /** The text stops inside a value. */
  UNEXPECTED_END,
  /** A character that cannot stand where it does; see `JsonContext`. */
  INVALID_CHARACTER,
  /** Nested deeper than the reader goes. */
  TOO_DEEP,
  /** Good JSON, but not the kind of value that was asked for. */
  WRONG_KIND,
  /** A number where an integer was asked for that has a fraction or an exponent, or does not fit. */
  NOT_INTEGER,
}

/** Where a character that cannot stand there was found. */
export enum JsonContext {
  VALUE,
  KEY,
  AFTER_KEY,
  AFTER_PAIR,
  AFTER_ELEMENT,
  STRING,
  ESCAPE,
  HEX_ESCAPE,
  NUMBER,
  FRACTION,
  EXPONENT,
  TRUE,
  FALSE,
  NULL,
}

/**
 * The text for an error, in the words of Go's encoding/json, which people know from Layotto and Dapr.
 * @param character the byte that was not expected
 * @param expected for the literals: the byte that was
 */
export function jsonErrorText(error: JsonError, context: JsonContext, character: u8, expected: u8): string {
  switch (error) {
    case JsonError.EMPTY:
      return 'EOF';
    case JsonError.UNEXPECTED_END:
      return 'unexpected EOF';
    case JsonError.INVALID_CHARACTER:
      return 'invalid character ' + quoteCharacter(character) + ' ' + contextText(context, expected);
    case JsonError.TOO_DEEP:
      return 'exceeded max depth';
    case JsonError.WRONG_KIND:
      return 'unexpected kind of value';
    case JsonError.NOT_INTEGER:
      return 'number is not an integer of 64 bits';
    default:
      return '';
  }
}

function contextText(context: JsonContext, expected: u8): string {
  switch (context) {
    case JsonContext.VALUE:
      return 'looking for beginning of value';
    case JsonContext.KEY:
      return 'looking for beginning of object key string';
    case JsonContext.AFTER_KEY:
      return 'after object key';
    case JsonContext.AFTER_PAIR:
      return 'after object key:value pair';
    case JsonContext.AFTER_ELEMENT:
      return 'after array element';
    case JsonContext.STRING:
      return 'in string literal';
    case JsonContext.ESCAPE:
      return 'in string escape code';
    case JsonContext.HEX_ESCAPE:
      return 'in \\u hexadecimal character escape';
    case JsonContext.NUMBER:
      return 'in numeric literal';
    case JsonContext.FRACTION:
      return 'after decimal point in numeric literal';
    case JsonContext.EXPONENT:
      return 'in exponent of numeric literal';
    case JsonContext.TRUE:
      return literalText('true', expected);
    case JsonContext.FALSE:
      return literalText('false', expected);
    default:
      return literalText('null', expected);
  }
}

function literalText(name: string, expected: u8): string {
  return 'in literal ' + name + " (expecting '" + String.fromCharCode(expected) + "')";
}

/** The byte as Go quotes a character: a byte of 0x80 or more stands for the code point of that number. */
function quoteCharacter(character: u8): string {
  switch (character) {
    case 0x27:
      return "'\\''";
    case 0x5c:
      return "'\\\\'";
    case 0x07:
      return "'\\a'";
    case 0x08:
      return "'\\b'";
    case 0x09:
      return "'\\t'";
    case 0x0a:
      return "'\\n'";
    case 0x0b:
      return "'\\v'";
    case 0x0c:
      return "'\\f'";
    case 0x0d:
      return "'\\r'";
    default:
      break;
  }
  if (character < 0x20 || character == 0x7f) return "'\\x" + hexByte(character) + "'";
  // C1 controls, the no-break space and the soft hyphen do not print
  if (character >= 0x7f && (character <= 0xa0 || character == 0xad))
    return "'\\u00" + hexByte(character) + "'";
  return "'" + String.fromCharCode(character) + "'";
}

function hexByte(byte: u8): string {
  const digits = '0123456789abcdef';
  return digits.charAt(byte >> 4) + digits.charAt(byte & 15);
}
