/** Finds the lines that match an expression. What they say is read afterwards, the same way whoever found them. */

export interface Query {
  readonly pattern: string
  readonly literal: boolean
  readonly ignoreCase: boolean
}

export interface Hit {
  /** Counted from 1. */
  readonly line: number
  /** The byte that the line begins with. */
  readonly offset: number
}

export interface Matcher {
  /**
   * Searches files, given by their paths from a folder, in their order, for up to `limit` lines each, and calls
   * `found` for each line, in order, until it answers `false`. Ends after `time` milliseconds, and says then that it
   * was late. Refuses an expression that it cannot read.
   */
  readonly search: (
    files: ReadonlyArray<string>,
    limit: number,
    time: number,
    found: (file: string, hit: Hit) => boolean,
  ) => Promise<{ readonly late: boolean }>
  readonly close: () => Promise<unknown>
}
