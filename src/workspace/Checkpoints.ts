/** Saves the files of a session's sandbox, and makes them anew in another one. */
import { Cause, Context, Data, Effect, Layer, Schema } from "effect"
import { messageOf } from "../domain/Failure.ts"
import { type Principal, randomId, type SessionId } from "../domain/Identity.ts"
import type { FileError, SandboxLost } from "../domain/SandboxError.ts"
import type { Unavailable } from "../domain/SessionError.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Template } from "../sandbox/Templates.ts"
import { settings } from "../Settings.ts"
import { Assembly } from "./Assembly.ts"
import { CheckpointRows, type Prepared } from "./CheckpointRows.ts"
import { encodeChanges, manifestOf, maxEntries, piecesOf } from "./Manifest.ts"
import * as Packing from "./Packing.ts"
import { PackStore, packSize, type StoreFailed } from "./PackStore.ts"
import { type PieceDamaged, records } from "./Restoring.ts"
import { newestWhole } from "./Salvage.ts"

/** How large one file may seem; its holes count too. */
const maxFile = 64 * 1024 * 1024 * 1024

/** Where a session's files stand: its newest checkpoint, and what its sandbox's agent calls that moment. */
export interface Place {
  /** Zero where there is none. */
  readonly number: number
  readonly base: number
  /** None: all files are to be looked at. */
  readonly cursor: string | undefined
}

/** What a sandbox holds beyond a place. */
export interface Saved {
  /** None where nothing changed. */
  readonly checkpoint: Prepared | undefined
  /** Where the files stand once it is committed. */
  readonly place: Place
}

/** The files could not be saved; they are in the sandbox alone. */
export class NotSaved extends Data.TaggedError("NotSaved")<{ readonly reason: string }> {}

/** The checkpoint is not in the store as it was put there. The sandbox is to be thrown away. */
export class CheckpointDamaged extends Data.TaggedError("CheckpointDamaged")<{
  readonly checkpoint: number
  readonly reason: string
}> {}

/** The checkpoint could not be brought into the sandbox, which is to be thrown away. */
export class NotRestored extends Schema.TaggedError<NotRestored>()("NotRestored", {
  checkpoint: Schema.Int,
  reason: Schema.String,
}) {
  override get message() {
    return `The session's files could not be restored from checkpoint ${this.checkpoint}: ${this.reason}.`
  }
  readonly next = "Try again; if it stays so, the operator must look at the workspace store."
}

export class Checkpoints extends Context.Tag("codegen-mcp/workspace/Checkpoints")<
  Checkpoints,
  {
    /** Keeps what changed in a sandbox since a place. Nothing names it before it is committed. */
    readonly save: (
      principal: Principal,
      sandbox: Sandbox,
      template: Template,
      since: Place,
    ) => Effect.Effect<Saved, NotSaved>
    /** The newest checkpoint of a session; zeros where there is none. */
    readonly newest: CheckpointRows["Type"]["newest"]
    /** Makes the files of a checkpoint in a sandbox in which nothing was done yet. */
    readonly restore: (
      principal: Principal,
      session: SessionId,
      number: number,
      sandbox: Sandbox,
    ) => Effect.Effect<Place, CheckpointDamaged | NotRestored | SandboxLost | Unavailable>
    /**
     * What a session goes on with whose newest checkpoint is damaged: the newest that is whole, once more, as the one
     * that follows.
     */
    readonly salvage: (
      principal: Principal,
      session: SessionId,
      damaged: CheckpointDamaged,
    ) => Effect.Effect<{ readonly from: number; readonly checkpoint: Prepared }, NotRestored | Unavailable>
    /** The newest checkpoint once more, as one that names all files, so that none has to read a long way back. */
    readonly compact: (
      principal: Principal,
      session: SessionId,
      number: number,
    ) => Effect.Effect<Prepared | undefined, Unavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Checkpoints,
    Effect.gen(function* () {
      const store = yield* PackStore
      const rows = yield* CheckpointRows
      const exclude = (yield* settings.checkpointExclude.config).map((path) =>
        path
          .replace(/^\/workspace\//, "workspace/")
          .replace(/^\/home\/agent\//, "home/")
          .replace(/\/+$/, ""),
      )

      /** A checkpoint once more, as one that names all files. */
      const whole = Effect.fn("Checkpoints.whole")(function* (
        principal: Principal,
        session: SessionId,
        of: number,
        number: number,
      ) {
        const chain = yield* rows.chain(session, of)
        if (chain === undefined) return undefined
        const changes = [...manifestOf(chain.lists).values()]
        const checkpoint: Prepared = {
          token: yield* randomId("p_"),
          principal,
          number,
          base: number,
          changes: yield* Effect.promise(() => encodeChanges(changes)),
          pieces: piecesOf(changes),
          places: [],
          pack: undefined,
        }
        return checkpoint
      })

      return {
        newest: rows.newest,

        save: Effect.fn("Checkpoints.save")(
          function* (principal, sandbox, template, since) {
            const packing = yield* Packing.make(store, (hashes) =>
              Effect.map(
                rows.known(principal, hashes),
                (known) => new Set(hashes.filter((hash) => !known.has(hash))),
              ),
            )
            const assembly = new Assembly(maxFile)
            const keep = Effect.suspend(() => {
              const pieces = assembly.take()
              return Effect.map(packing.add(pieces), () => assembly.giveBack(pieces))
            })
            let failure: unknown
            const reply = yield* sandbox.files.snapshot(
              { after: since.cursor ?? null, exclude, maxEntries },
              maxBytes(template),
              (pieces) =>
                Effect.gen(function* () {
                  if (failure !== undefined) return
                  for (const piece of pieces) assembly.push(piece)
                  if (assembly.waiting >= packSize) yield* keep
                }).pipe(Effect.catchAllCause((cause) => Effect.sync(() => (failure = Cause.squash(cause))))),
            )
            if (failure !== undefined) return yield* new NotSaved({ reason: messageOf(failure) })
            if (!assembly.isWhole) return yield* new NotSaved({ reason: "a file is not whole" })
            yield* keep
            const { changes } = assembly
            if (changes.length === 0 && (!reply.whole || since.number === 0)) {
              return { checkpoint: undefined, place: { ...since, cursor: reply.cursor } }
            }
            const { places, pack } = yield* packing.finish
            const pieces = piecesOf(changes)
            const number = since.number + 1
            // The first one names all files, for there were none before.
            const base = reply.whole || since.number === 0 ? number : since.base
            return {
              checkpoint: {
                token: yield* randomId("p_"),
                principal,
                number,
                base,
                changes: yield* Effect.promise(() => encodeChanges(changes)),
                pieces,
                // What was read again may not have come to the same.
                places: places.filter(({ hash }) => pieces.has(hash)),
                pack,
              },
              place: { number, base, cursor: reply.cursor },
            }
          },
          Effect.scoped,
          Effect.mapError((error) =>
            error._tag === "NotSaved" ? error : new NotSaved({ reason: messageOf(error) }),
          ),
        ),

        restore: Effect.fn("Checkpoints.restore")(function* (principal, session, number, sandbox) {
          const damaged = (reason: string) => new CheckpointDamaged({ checkpoint: number, reason })
          const refused = (reason: string) => new NotRestored({ checkpoint: number, reason })
          const chain = yield* rows.chain(session, number)
          if (chain === undefined) return yield* damaged("what it holds is not known any more")
          const manifest = manifestOf(chain.lists)
          const places = yield* rows.places(principal, [...piecesOf(manifest.values())])
          const source = records(manifest, new Map(places.map((place) => [place.hash, place])), store)
          const { cursor } = yield* sandbox.files.restore(source).pipe(
            Effect.catchTags({
              PieceDamaged: ({ hash }: PieceDamaged) =>
                damaged(`the contents ${hash.slice(0, 12)} are damaged`),
              StoreFailed: ({ reason }: StoreFailed) => refused(reason),
              FileError: (error: FileError) => refused(error.message),
            }),
          )
          return { number, base: chain.base, cursor }
        }),

        salvage: Effect.fn("Checkpoints.salvage")(function* (principal, session, { checkpoint, reason }) {
          const refused = (why: string) => new NotRestored({ checkpoint, reason: `${reason}${why}` })
          const from = yield* newestWhole(rows, store, principal, session, checkpoint).pipe(
            Effect.catchTag("StoreFailed", (error) => refused(`, and ${error.reason}`)),
          )
          // What was damaged a moment ago is whole by now.
          if (from === checkpoint) return yield* refused("")
          const again =
            from === undefined ? undefined : yield* whole(principal, session, from, checkpoint + 1)
          if (from === undefined || again === undefined) {
            return yield* refused(", and no older checkpoint is whole")
          }
          return { from, checkpoint: again }
        }),

        compact: (principal, session, number) => whole(principal, session, number, number + 1),
      }
    }),
  )
}

/** What an agent may send: all that the folders can hold, and the names. */
const maxBytes = ({ workspace, home }: Template) => 2 * (workspace + home) + 256 * 1024 * 1024
