/** Packs in Postgres, beside their rows. */
import { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import { ofRows, PackStore, StoreUnusable } from "./PackStore.ts"

export const layer = Layer.effect(
  PackStore,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const other = yield* sql`SELECT 1 FROM cluster WHERE store IS NOT NULL`
    if (other.length > 0) {
      return yield* new StoreUnusable({ store: "postgres", problem: "this cluster's files are in a folder" })
    }
    return {
      takesRows: true,
      put: (pack, data) =>
        Effect.asVoid(
          ofRows(sql`INSERT INTO pack (id, size, data) VALUES (${pack}, ${data.length}, ${data})`),
        ),
      get: (pack) =>
        Effect.map(
          ofRows(sql<{ data: Buffer | null }>`SELECT data FROM pack WHERE id = ${pack}`),
          ([row]) => row?.data ?? undefined,
        ),
      remove: () => Effect.void,
    }
  }),
)
