/** Bytes taken from the heap at a time. */
const CHUNK: i32 = 4096;

/** At the start of each chunk: the chunk before it. */
const HEADER: i32 = 8;

/** Memory that is handed out piece by piece, never moves, and is given back all at once. */
export class Arena {
  private chunk: usize = 0;
  private at: usize = 0;
  private left: i32 = 0;

  /** `size` bytes, good until `reset`. */
  alloc(size: i32): usize {
    if (size > this.left) {
      const room = max(size, CHUNK - HEADER);
      const chunk = heap.alloc(room + HEADER);
      store<usize>(chunk, this.chunk);
      this.chunk = chunk;
      this.at = chunk + HEADER;
      this.left = room;
    }
    const ptr = this.at;
    this.at += size;
    this.left -= size;
    return ptr;
  }

  /** Frees everything handed out. */
  reset(): void {
    let chunk = this.chunk;
    while (chunk != 0) {
      const before = load<usize>(chunk);
      heap.free(chunk);
      chunk = before;
    }
    this.chunk = 0;
    this.at = 0;
    this.left = 0;
  }
}
