/** Keeps the smallest names of many, in memory that depends only on how many are kept. */
export class SmallestNames {
  /** A heap whose first is the largest kept. */
  readonly #heap: string[] = [];
  #more = false;

  /**
   * @param size how many are kept
   * @param after only names beyond this one count
   */
  constructor(
    private readonly size: number,
    private readonly after: string,
  ) {}

  /** Whether there were more names than are kept. */
  get more(): boolean {
    return this.#more;
  }

  add(name: string): void {
    if (name <= this.after) return;
    const heap = this.#heap;
    if (heap.length < this.size) {
      heap.push(name);
      this.#up(heap.length - 1);
      return;
    }
    this.#more = true;
    if (name >= (heap[0] as string)) return;
    heap[0] = name;
    this.#down(0);
  }

  /** Those that are kept, in order. */
  sorted(): string[] {
    return [...this.#heap].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  #up(start: number): void {
    const heap = this.#heap;
    const name = heap[start] as string;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as string) >= name) break;
      heap[at] = heap[parent] as string;
      at = parent;
    }
    heap[at] = name;
  }

  #down(start: number): void {
    const heap = this.#heap;
    const name = heap[start] as string;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as string) > (heap[child] as string)) child++;
      if ((heap[child] as string) <= name) break;
      heap[at] = heap[child] as string;
      at = child;
    }
    heap[at] = name;
  }
}
