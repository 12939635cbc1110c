/**
 * Where the contents of files are kept, beyond any node: many pieces together, in packs that are written once. What is
 * in a pack, and whether anyone needs it, its rows say.
 */
import { Context, Effect, Schema } from "effect"
import { answering } from "../database/Database.ts"

/** Bytes of one pack, about: what one read or write of the store moves. */
export const packSize = 4 * 1024 * 1024

/** The store did not take or give something. */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("StoreFailed", { reason: Schema.String }) {
  override get message() {
    return `The workspace store failed: ${this.reason}.`
  }
}

/** The store is not the one that the cluster's files are in, or cannot be used. */
export class StoreUnusable extends Schema.TaggedError<StoreUnusable>()("StoreUnusable", {
  store: Schema.String,
  problem: Schema.String,
}) {
  override get message() {
    return `The workspace store ${this.store} cannot be used: ${this.problem}. Check WORKSPACE_STORE.`
  }
}

export class PackStore extends Context.Tag("codegen-mcp/workspace/PackStore")<
  PackStore,
  {
    /** Small packs may be kept in their rows instead, written with those that refer to them. */
    readonly takesRows: boolean
    /** Keeps a pack, durably, and its row. One that no piece refers to goes after a while. Its memory is used again. */
    readonly put: (pack: string, data: Buffer) => Effect.Effect<void, StoreFailed>
    /** Undefined where there is none. */
    readonly get: (pack: string) => Effect.Effect<Buffer | undefined, StoreFailed>
    /** Forgets packs whose rows are gone. */
    readonly remove: (packs: ReadonlyArray<string>) => Effect.Effect<void, StoreFailed>
  }
>() {}

/** What a store asks of its rows. */
export const ofRows = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, StoreFailed> =>
  Effect.mapError(answering(effect), () => new StoreFailed({ reason: "Postgres does not answer" }))
