/** The room of a tool's answer, in characters of JSON, so that it stays below what clients pass on to a model. */

const answerLimit = 36_000

/** The first items of a list that fit into one answer, or into so many characters of it. */
export const within = <A>(items: ReadonlyArray<A>, limit = answerLimit): ReadonlyArray<A> =>
  new Room(limit).fill(items)

/** What is left of it. */
export class Room {
  private left: number

  constructor(limit: number) {
    this.left = limit
  }

  /** Whether this is small enough; then its room is gone. */
  takes(value: unknown) {
    const size = JSON.stringify(value).length + 1
    if (size > this.left) return false
    this.left -= size
    return true
  }

  /** The first ones, as many as there is room for. */
  fill<A>(values: ReadonlyArray<A>): ReadonlyArray<A> {
    const end = values.findIndex((value) => !this.takes(value))
    return end < 0 ? values : values.slice(0, end)
  }

  /** What is made for the room that is left; it should be no larger. */
  fit<A>(make: (limit: number) => A): A {
    const made = make(this.left)
    this.left = Math.max(0, this.left - JSON.stringify(made).length)
    return made
  }

  /** An equal part of what is left, taken from here. */
  share(parts: number) {
    const part = new Room(Math.floor(this.left / parts))
    this.left -= part.left
    return part
  }

  /** Takes back what is left of a part. */
  takeBack(part: Room) {
    this.left += part.left
    part.left = 0
  }
}
