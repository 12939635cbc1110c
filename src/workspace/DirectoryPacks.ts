/**
 * Packs as files of a folder that all nodes share, such as a network mount. The folder carries an id that Postgres
 * knows: a node that sees another folder there, or an empty mount point, does not start.
 */
import { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir, open, readFile, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf } from "../agent/files/Refusal.ts"
import { unless } from "../agent/files/Workspace.ts"
import { messageOf } from "../domain/Failure.ts"
import { ofRows, PackStore, StoreFailed, StoreUnusable } from "./PackStore.ts"

const idFile = "codegen-mcp-store"

export const layer = (folder: string) =>
  Layer.effect(
    PackStore,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const id = yield* identify(folder)
      const attempt = <A>(run: () => Promise<A>) =>
        Effect.tryPromise({ try: run, catch: (error) => new StoreFailed({ reason: messageOf(error) }) })
      // A mount may have gone since, and left an empty folder of this machine in its place.
      const mustBeOurs = async () => {
        const found = await readFile(join(folder, idFile), "utf8").catch(unlessMissing)
        if (found?.trim() !== id) throw new Error(`${folder} is not the cluster's folder`)
      }
      const placeOf = (pack: string) => join(folder, pack.slice(-2), pack)

      return {
        takesRows: false,
        // The row comes first: a file without one would never be removed.
        put: (pack, data) =>
          Effect.zipRight(
            ofRows(sql`INSERT INTO pack (id, size) VALUES (${pack}, ${data.length})`),
            attempt(async () => {
              await mustBeOurs()
              await write(placeOf(pack), data, halfOf(placeOf(pack)))
            }),
          ),
        get: (pack) =>
          Effect.flatMap(
            attempt(async () => {
              const data = await readFile(placeOf(pack)).catch(unlessMissing)
              if (data === undefined) await mustBeOurs()
              return data
            }),
            (data) =>
              data === undefined
                ? // From before the cluster had a folder.
                  Effect.map(
                    ofRows(sql<{ data: Buffer | null }>`SELECT data FROM pack WHERE id = ${pack}`),
                    ([row]) => row?.data ?? undefined,
                  )
                : Effect.succeed(data),
          ),
        remove: (packs) =>
          Effect.forEach(
            packs.map(placeOf).flatMap((place) => [place, halfOf(place)]),
            (path) => attempt(() => rm(path, { force: true })),
            { concurrency: 8, discard: true },
          ),
      }
    }),
  )

/** Compares the folder's id with the cluster's; the first node that uses a new folder gives it one. */
const identify = Effect.fn("DirectoryPacks.identify")(function* (folder: string) {
  const sql = yield* SqlClient.SqlClient
  const unusable = (problem: string) => new StoreUnusable({ store: folder, problem })
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({ try: run, catch: (error) => unusable(messageOf(error)) })
  yield* attempt(() => mkdir(folder, { recursive: true }))
  const read = attempt(() => readFile(join(folder, idFile), "utf8").catch(unlessMissing))
  const found = (yield* read)?.trim()
  const made = found ?? randomBytes(16).toString("hex")
  // Before the cluster takes to it, for ever.
  if (found === undefined) yield* attempt(() => tryOut(folder))
  const rows = yield* sql<{ store: string }>`
    UPDATE cluster SET store = coalesce(store, ${made}) RETURNING store`
  const known = rows[0]?.store
  if (known !== made && found !== undefined) return yield* unusable("it belongs to another cluster")
  if (found !== undefined) return found
  // Of nodes that start at once on a new folder, the one whose id the cluster took writes it.
  if (known === made)
    return yield* Effect.as(
      attempt(() => write(join(folder, idFile), Buffer.from(`${made}\n`))),
      made,
    )
  for (let tried = 0; tried < 20; tried++) {
    const now = (yield* read)?.trim()
    if (now !== undefined && now === known) return now
    yield* Effect.sleep("100 millis")
  }
  return yield* unusable("it does not hold the files of this cluster")
})

/** What a node that dies leaves of a pack that it was writing: it has the pack's row, and goes with it. */
const halfOf = (place: string) => `${place}.half`

/** Whether the folder takes files. */
const tryOut = async (folder: string) => {
  const path = anyBeside(join(folder, idFile))
  await write(path, Buffer.from("x"))
  await rm(path)
}

const anyBeside = (place: string) => `${place}.${randomBytes(4).toString("hex")}`

/** In one step and durably, with the name. */
const write = async (place: string, data: Buffer, temporary = anyBeside(place)) => {
  await mkdir(dirname(place)).catch(unless("EEXIST"))
  try {
    const file = await open(temporary, "wx", 0o600)
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, place)
    const folder = await open(dirname(place))
    await folder.sync().finally(() => folder.close())
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

const unlessMissing = (error: unknown) => {
  if (codeOf(error) === "ENOENT") return undefined
  throw error
}
