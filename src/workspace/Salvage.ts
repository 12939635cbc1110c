/** What is left of a session's checkpoints where the store does not give back the newest as it took it. */
import { Effect } from "effect"
import type { Principal, SessionId } from "../domain/Identity.ts"
import type { CheckpointRows } from "./CheckpointRows.ts"
import { manifestOf, type PieceHash, piecesOf } from "./Manifest.ts"
import type { PackStore } from "./PackStore.ts"
import { reader } from "./Restoring.ts"

/**
 * The newest checkpoint, up to a number, of which every piece is whole; undefined where there is none. Pieces that are
 * not whole are marked, so that the next save that comes upon their contents keeps them anew.
 */
export const newestWhole = Effect.fn("Salvage.newestWhole")(function* (
  rows: CheckpointRows["Type"],
  store: PackStore["Type"],
  principal: Principal,
  session: SessionId,
  upTo: number,
) {
  const whole = new Map<PieceHash, boolean>()
  const isWhole = Effect.fnUntraced(function* (hashes: ReadonlySet<PieceHash>) {
    if ([...hashes].some((hash) => whole.get(hash) === false)) return false
    const unseen = [...hashes].filter((hash) => !whole.has(hash))
    for (const hash of unseen) whole.set(hash, false)
    const places = yield* rows.places(principal, unseen)
    const byHash = new Map(places.map((place) => [place.hash, place]))
    const read = reader(byHash, store)
    const inOrder = places.toSorted((a, b) => a.pack.localeCompare(b.pack) || a.at - b.at)
    for (const { hash } of inOrder) {
      whole.set(
        hash,
        yield* read(hash).pipe(
          Effect.as(true),
          Effect.catchTag("PieceDamaged", () => Effect.succeed(false)),
        ),
      )
    }
    return unseen.every((hash) => whole.get(hash) === true)
  })

  let found: number | undefined
  for (const { base, newest } of yield* rows.bases(session, upTo)) {
    const chain = yield* rows.chain(session, newest)
    for (
      let lists = chain?.lists ?? [];
      found === undefined && lists.length > 0;
      lists = lists.slice(0, -1)
    ) {
      if (yield* isWhole(piecesOf(manifestOf(lists).values()))) found = base + lists.length - 1
    }
    if (found !== undefined) break
  }
  yield* rows.markDamaged(
    principal,
    [...whole].flatMap(([hash, isWhole]) => (isWhole ? [] : [hash])),
  )
  return found
})
