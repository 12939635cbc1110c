/** How many of something there are by key; of a key without any nothing is kept. */
export class Counts<Key> {
  private readonly counts = new Map<Key, number>()

  of(key: Key) {
    return this.counts.get(key) ?? 0
  }

  /** Those of which there are some. */
  get keys(): Iterable<Key> {
    return this.counts.keys()
  }

  add(key: Key) {
    this.counts.set(key, this.of(key) + 1)
  }

  remove(key: Key) {
    if (this.of(key) > 1) this.counts.set(key, this.of(key) - 1)
    else this.counts.delete(key)
  }
}
