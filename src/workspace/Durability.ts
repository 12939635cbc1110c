/** What the files of sessions survive, as callers and operators are told. */
import { Effect, Redacted } from "effect"
import { isLoopback } from "../domain/Loopback.ts"
import { settings } from "../Settings.ts"

/**
 * `none` without checkpoints. `node` where Postgres runs beside the node, and so keeps what is saved on the same machine;
 * `cluster` otherwise.
 */
export type Durability = "cluster" | "node" | "none"

export const durability = Effect.gen(function* () {
  if ((yield* settings.checkpoint.config) === "off") return "none" as const
  const { hostname } = new URL(Redacted.value(yield* settings.databaseUrl.config))
  return hostname === "" || isLoopback(hostname) ? ("node" as const) : ("cluster" as const)
})
