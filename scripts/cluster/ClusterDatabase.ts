/** The database of a cluster on this machine: the one that DATABASE_URL names, or else an embedded Postgres. */
import { Config, Effect, Option, Redacted } from "effect"
import type { Scope } from "effect"
import { settings } from "../../src/Settings.ts"
import type { StartError } from "../process/StartError.ts"
import * as EmbeddedPostgres from "../setup/EmbeddedPostgres.ts"

export const chosen = Config.option(settings.databaseUrl.config)

/** Gives its URL; an embedded one keeps its files in `folder`, and ends with the scope. */
export const acquire = (
  chosen: Option.Option<Redacted.Redacted>,
  folder: string,
): Effect.Effect<string, StartError, Scope.Scope> =>
  Option.match(chosen, {
    onSome: (url) => Effect.succeed(Redacted.value(url)),
    onNone: () => Effect.map(EmbeddedPostgres.start(folder), ({ url }) => url),
  })
