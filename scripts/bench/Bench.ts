/** What a bench is, and what it finds out. */
import { type Effect, Schema } from "effect"
import type { Scope } from "effect"
import type { StartError } from "../process/StartError.ts"

/** One number of ours beside the same of what we build on, measured in the same run. */
export const Result = Schema.Struct({
  name: Schema.String,
  unit: Schema.String,
  baseline: Schema.NullOr(Schema.Number),
  ours: Schema.Number,
  /** `ours` divided by `baseline`. */
  ratio: Schema.NullOr(Schema.Number),
  /** Null where nobody has set one. */
  target: Schema.NullOr(Schema.Number),
  pass: Schema.NullOr(Schema.Boolean),
  /** How many measurements of ours this is made of. */
  n: Schema.Int,
  /** How it was measured. */
  settings: Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Schema.Number) }),
})
export type Result = typeof Result.Type

export const Results = Schema.Array(Result)

export interface Bench {
  readonly name: string
  /** One line, for `--help`. */
  readonly summary: string
  /** Sets up what it needs, measures, and leaves nothing. */
  readonly measure: (options: {
    /** Whether system packages may be installed. */
    readonly install: boolean
  }) => Effect.Effect<ReadonlyArray<Result>, StartError, Scope.Scope>
}
