// Header maps: reading them in one host call, changing single entries, and
// writing pairs in the ABI's serialised form.

import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
} from './abi';
import { Bytes, bytes, bytesLength, bytesPtr } from './bytes';
import { HeaderMap } from './enums';
import { OUT, received, release } from './memory';
import { Status } from './status';

/**
 * All entries of one header map, fetched by one host call. Names and values
 * are views into one buffer; call `free` when done with them.
 */
export class HeaderPairs {
  private data: Bytes = 0;
  private count: i32 = 0;

  /** Fetches the map; false (and empty) when the host has none at this point of the stream. */
  fetch(map: HeaderMap): bool {
    this.free();
    store<u64>(OUT, 0);
    if (proxy_get_header_map_pairs(map, OUT, OUT + 4) != Status.Ok) return false;
    this.data = received();
    const size = bytesLength(this.data);
    if (size < 4) return size == 0;
    const n = load<u32>(bytesPtr(this.data));
    // Each entry has at least its two lengths and two terminators.
    if (<u64>n * 10 + 4 > <u64>size) return false;
    this.count = <i32>n;
    return true;
  }

  /** Number of entries; a name may occur more than once. */
  get length(): i32 {
    return this.count;
  }

  /** Bytes of all names and values together, and of the lengths between them. */
  get size(): i32 {
    return bytesLength(this.data);
  }

  /** First value of a header (name in lower case), or no bytes. An empty value is not told from an absent one. */
  // @ts-ignore: decorator
  @inline
  get(name: Bytes): Bytes {
    return valueIn(this.data, this.count, name);
  }

  /** True when a header is there, whatever its value. */
  // @ts-ignore: decorator
  @inline
  has(name: Bytes): bool {
    return valueIn(this.data, this.count, name) != 0;
  }

  /** Gives the buffer back; views into it are gone. */
  free(): void {
    release(this.data);
    this.data = 0;
    this.count = 0;
  }
}

/** A header's value in serialised pairs. No method of theirs, because it takes no object: that makes a call cheaper. */
function valueIn(data: Bytes, count: i32, name: Bytes): Bytes {
  const nameLength = <u32>bytesLength(name);
  const namePtr = bytesPtr(name);
  let lengths = bytesPtr(data) + 4;
  let at = lengths + <usize>count * 8;
  for (let i = 0; i < count; i++) {
    const keyLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    if (keyLength == nameLength && memory.compare(at, namePtr, keyLength) == 0) {
      return bytes(at + keyLength + 1, <i32>valueLength);
    }
    lengths += 8;
    at += <usize>keyLength + <usize>valueLength + 2;
  }
  return 0;
}

/** One header's value in a buffer of its own (the caller releases it), or no bytes when it is absent. */
export function getHeader(map: HeaderMap, name: Bytes): Bytes {
  store<u64>(OUT, 0);
  const status = proxy_get_header_map_value(map, bytesPtr(name), bytesLength(name), OUT, OUT + 4);
  return status == Status.Ok ? received() : 0;
}

/** Appends a header. On response trailers it works inside the last body callback and nowhere earlier. */
export function addHeader(map: HeaderMap, name: Bytes, value: Bytes): Status {
  return <Status>(
    proxy_add_header_map_value(map, bytesPtr(name), bytesLength(name), bytesPtr(value), bytesLength(value))
  );
}

/** Sets a header, replacing what is there. */
export function replaceHeader(map: HeaderMap, name: Bytes, value: Bytes): Status {
  return <Status>(
    proxy_replace_header_map_value(
      map,
      bytesPtr(name),
      bytesLength(name),
      bytesPtr(value),
      bytesLength(value),
    )
  );
}

/** Removes a header; it need not be there. */
export function removeHeader(map: HeaderMap, name: Bytes): Status {
  return <Status>proxy_remove_header_map_value(map, bytesPtr(name), bytesLength(name));
}

/** Pairs to hand to the host, in its form: count, lengths, then every name and value with a zero byte behind it. */
export class HeaderList {
  private entries: Array<Bytes> = [];

  add(name: Bytes, value: Bytes): void {
    this.entries.push(name);
    this.entries.push(value);
  }

  get length(): i32 {
    return this.entries.length >> 1;
  }

  /** Adds each to what the host has. @returns the first status that is not OK */
  addTo(map: HeaderMap): Status {
    for (let i = 0; i < this.entries.length; i += 2) {
      const status = addHeader(map, this.entries[i], this.entries[i + 1]);
      if (status != Status.Ok) return status;
    }
    return Status.Ok;
  }

  /** Forgets the pairs. */
  clear(): void {
    this.entries.length = 0;
  }

  /** The serialised pairs, in memory of their own (`release` gives it back); no bytes when there are no pairs. */
  serialize(buffer: (size: i32) => Bytes): Bytes {
    const entries = this.entries;
    if (entries.length == 0) return 0;
    let size = 4;
    for (let i = 0; i < entries.length; i++) size += 4 + bytesLength(entries[i]) + 1;
    const out = buffer(size);
    const base = bytesPtr(out);
    store<u32>(base, entries.length >> 1);
    let lengths = base + 4;
    let at = lengths + <usize>entries.length * 4;
    for (let i = 0; i < entries.length; i++) {
      const n = bytesLength(entries[i]);
      store<u32>(lengths, n);
      lengths += 4;
      memory.copy(at, bytesPtr(entries[i]), n);
      store<u8>(at + n, 0);
      at += n + 1;
    }
    return out;
  }
}
