/** A session whose files are saved as its owner does it, without the operations around. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { Principal, randomId, SessionId } from "../../../src/domain/Identity.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { Templates } from "../../../src/sandbox/Templates.ts"
import { SessionRows } from "../../../src/session/SessionRows.ts"
import { Checkpoints, type Place } from "../../../src/workspace/Checkpoints.ts"
import { StartError } from "../../process/StartError.ts"
import * as Node from "../sandbox/Node.ts"

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* SessionRows
  const checkpoints = yield* Checkpoints
  const { standard } = yield* Templates
  const id = SessionId.make(yield* randomId("s_"))
  // Of its own: nothing that another session saved is known to it.
  const principal = Principal.make(id)
  yield* sql`INSERT INTO session (id, principal, lifetime) VALUES (${id}, ${principal}, 'named')`
  const { epoch } = yield* rows.claim(id, { epoch: 0, container: undefined }, [])
  let place: Place = { number: 0, base: 0, cursor: undefined }
  return {
    /**
     * Saves what changed in the sandbox: of what it was told; of what it sees where nobody told it; or all, where nobody
     * knows what was saved either. Says whether there was anything.
     */
    save: (sandbox: Sandbox, knows: "changes" | "saved" | "nothing" = "changes") =>
      Effect.gen(function* () {
        const cursor = { changes: place.cursor, saved: untold(place.cursor), nothing: undefined }[knows]
        const since = { ...place, cursor }
        const saved = yield* checkpoints
          .save(principal, sandbox, standard, since)
          .pipe(
            Effect.mapError(
              ({ reason }) =>
                new StartError({ problem: `Files were not saved: ${reason}.`, remedy: "Run the tests." }),
            ),
          )
        if (saved.checkpoint !== undefined) yield* rows.commit(id, epoch, saved.checkpoint)
        place = saved.place
        return saved.checkpoint !== undefined
      }),
    restore: (sandbox: Sandbox) => checkpoints.restore(principal, id, place.number, sandbox),
    /** Bytes of what was saved for it: contents in the store, and what checkpoints say of them. */
    stored: Effect.map(
      sql<{ bytes: number }>`
        SELECT (SELECT coalesce(sum(size), 0) FROM pack
            WHERE id IN (SELECT pack FROM piece WHERE principal = ${principal}))::int
          + (SELECT coalesce(sum(octet_length(changes)), 0) FROM checkpoint WHERE session_id = ${id})::int AS bytes`,
      ([row]) => row?.bytes ?? 0,
    ),
  }
})

/** As it is where the kernel had more to tell of both folders than it remembers. */
const untold = (cursor: string | undefined) => cursor?.replace(/^.*\|/, "||")

/** Makes `count` files of `size` bytes that do not shrink, a hundred in a folder. */
export const fill = (sandbox: Sandbox, count: number, size: number) =>
  Node.run(sandbox, ["python3", "-c", filling, String(count), String(size)], "end")

const filling = `
import os, sys
count, size = int(sys.argv[1]), int(sys.argv[2])
for n in range(count):
    folder = f"/workspace/{n // 100}"
    if n % 100 == 0: os.makedirs(folder)
    with open(f"{folder}/{n % 100}", "wb") as file:
        for at in range(0, size, 1 << 20): file.write(os.urandom(min(1 << 20, size - at)))
`
