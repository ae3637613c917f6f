// What an engine keeps from one save to the next, all in one place: two engines in one process share nothing, and none
// grows for ever. What is worked out from one file alone is kept by that file (ElfFile.derived) and ends with it.

/** Milliseconds. A save that asked for something less long ago may still work with it. */
const IN_USE = 10 * 60_000;

/** The things of one kind, by key. */
export interface Cache<V> {
  /** The one that is kept, else a new one. Throws what `make` throws, and keeps nothing then. */
  get(key: string, make: () => V): V;
  /** The one that is kept, if any. */
  find(key: string): V | undefined;
}

export interface CacheOptions<V> {
  /** So many are kept however long nobody asks for them. */
  limit: number;
  /** Gives back what one holds beside memory. */
  release?: (value: V) => void;
}

/** The caches of one engine. */
export class Caches {
  private readonly all: LimitedCache<unknown>[] = [];

  /** @param now milliseconds; for tests */
  constructor(private readonly now: () => number = Date.now) {}

  create<V>(options: CacheOptions<V>): Cache<V> {
    const cache = new LimitedCache<V>(options, this.now);
    this.all.push(cache as LimitedCache<unknown>);
    return cache;
  }

  /** How many things are kept. */
  get size(): number {
    return this.all.reduce((sum, { size }) => sum + size, 0);
  }

  /** Releases everything. */
  clear(): void {
    for (const cache of this.all) cache.clear();
  }
}

/** The one policy: beyond its limit a cache lets go of what nobody has asked for in a while, the longest unused first. */
class LimitedCache<V> implements Cache<V> {
  /** In the order in which they were last asked for. */
  private readonly entries = new Map<string, { value: V; used: number }>();

  constructor(
    private readonly options: CacheOptions<V>,
    private readonly now: () => number,
  ) {}

  get size(): number {
    return this.entries.size;
  }

  find(key: string): V | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    entry.used = this.now();
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  get(key: string, make: () => V): V {
    if (this.entries.has(key)) return this.find(key)!;
    const value = make();
    this.evict();
    this.entries.set(key, { value, used: this.now() });
    return value;
  }

  private evict(): void {
    for (const [key, { value, used }] of this.entries) {
      if (this.entries.size < this.options.limit || this.now() - used < IN_USE) return;
      this.entries.delete(key);
      this.options.release?.(value);
    }
  }

  clear(): void {
    for (const { value } of this.entries.values()) this.options.release?.(value);
    this.entries.clear();
  }
}
