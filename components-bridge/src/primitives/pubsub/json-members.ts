/** A member of a JSON object, as it is written. */
export interface Member {
  readonly name: string;
  /** The value, without space around it. */
  readonly value: string;
}

const BACKSLASH = 0x5c;

/**
 * The members of an object, in their order and as they are written: numbers keep all their digits, and nothing is
 * escaped anew.
 *
 * @param text an object that JSON.parse has taken
 */
export function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let at = afterSpace(text, 0) + 1;
  for (;;) {
    at = afterSpace(text, at);
    if (text[at] === ',') at = afterSpace(text, at + 1);
    if (text[at] !== '"') return members;
    const nameEnd = afterText(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const start = afterSpace(text, afterSpace(text, nameEnd) + 1);
    at = afterValue(text, start);
    members.push({ name, value: text.slice(start, at).trimEnd() });
  }
}

/** Where a value ends that begins at `start`, or a little later if space follows. */
function afterValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = afterText(text, at) - 1;
        break;
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        if (depth === 0) return at;
        depth--;
        break;
      case ',':
        if (depth === 0) return at;
    }
  }
  return at;
}

/** Where a text ends whose first quote is at `start`. By `indexOf`, for the data may be megabytes of text. */
function afterText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
  return text.length;
}

function afterSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}
