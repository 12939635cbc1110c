/** What a sandbox's programs were refused lately. */

/** A host with its port, as it was asked for, and why it was not reached. */
export interface Refused {
  readonly target: string
  readonly reason: string
}

/** Different ones that are kept. */
const most = 32

export class Refusals {
  count = 0
  /** In order of the last time of each, in milliseconds since 1970. */
  private kept: ReadonlyArray<Refused & { readonly at: number }> = []

  note(target: string, reason: string, at = Date.now()) {
    this.count++
    const others = this.kept.filter((one) => one.target !== target || one.reason !== reason)
    this.kept = [...others, { target, reason, at }].slice(-most)
  }

  /** Those that came last between two times. */
  between(from: number, to: number): ReadonlyArray<Refused> {
    return this.kept.flatMap(({ target, reason, at }) => (at >= from && at <= to ? [{ target, reason }] : []))
  }
}
