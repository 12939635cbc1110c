/** The bound of a tool's answer, so that it stays below what clients pass on to a model. */

/** Characters, as JSON writes them. */
const limit = 36_000

/** The first items of a list that fit into one answer. */
export const within = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => {
  let left = limit
  const end = items.findIndex((item) => (left -= JSON.stringify(item).length + 1) < 0)
  return end < 0 ? items : items.slice(0, end)
}
