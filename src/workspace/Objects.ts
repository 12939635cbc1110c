/**
 * Files that are kept beside a workspace, in the same store: artifacts, which outlive their session for a time, and
 * archives on their way in or out. Their contents are pieces as those of checkpoints are, kept once for a principal,
 * and removed by the same rules.
 */
import { Context, Effect, Layer, Stream } from "effect"
import { answering } from "../database/Database.ts"
import { ObjectId, type Principal, randomId, type SessionId } from "../domain/Identity.ts"
import {
  ArtifactNotFound,
  StoreUnavailable,
  type TooManyArtifacts,
  type TransferTooLarge,
  UrlRefused,
  UrlUsed,
} from "../domain/ObjectError.ts"
import type { Claims } from "../domain/SignedUrl.ts"
import type { SessionClosed, Unavailable } from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"
import { cut } from "./Cutting.ts"
import { pieceSize } from "./Manifest.ts"
import * as ObjectRows from "./ObjectRows.ts"
import * as Packing from "./Packing.ts"
import { PackStore, packSize, type StoreFailed } from "./PackStore.ts"
import { reader } from "./Restoring.ts"
import type { Piece } from "./Assembly.ts"
import { SignedUrls } from "./SignedUrls.ts"

export type { StoredObject } from "./ObjectRows.ts"

type Failure = StoreUnavailable | Unavailable

export class Objects extends Context.Tag("codegen-mcp/workspace/Objects")<
  Objects,
  {
    /** Keeps what comes, a pack of it in memory at a time. Nothing of it stays where that fails. */
    readonly save: <E>(
      object: Omit<ObjectRows.NewObject, "id"> & { readonly id?: ObjectId },
      source: Stream.Stream<Uint8Array, E>,
    ) => Effect.Effect<
      ObjectRows.StoredObject,
      E | Failure | TooManyArtifacts | TransferTooLarge | SessionClosed | UrlUsed
    >
    /** The principal's artifact of that id. */
    readonly artifact: (
      principal: Principal,
      id: string,
    ) => Effect.Effect<ObjectRows.StoredObject, ArtifactNotFound | Unavailable>
    /** The newest artifacts of the principal. */
    readonly list: (
      principal: Principal,
      limit: number,
    ) => Effect.Effect<ReadonlyArray<ObjectRows.StoredObject>, Unavailable>
    readonly remove: (principal: Principal, id: string) => Effect.Effect<boolean, Unavailable>
    /** An archive that was sent to a session. */
    readonly upload: (
      session: SessionId,
      id: ObjectId,
    ) => Effect.Effect<ObjectRows.StoredObject, ArtifactNotFound | Unavailable>
    /** Bytes of a file from one on, each piece checked by its hash. */
    readonly contents: (
      object: ObjectRows.StoredObject,
      from?: number,
      length?: number,
    ) => Stream.Stream<Uint8Array, Failure>
    /** The file that a URL allows to fetch. */
    readonly allowed: (
      claims: Claims,
    ) => Effect.Effect<ObjectRows.StoredObject, UrlRefused | ArtifactNotFound | Unavailable>
    /** Whose the session is that a URL allows to send an archive to, which nobody did yet. */
    readonly receiver: (claims: Claims) => Effect.Effect<Principal, UrlRefused | UrlUsed | Unavailable>
    /** A URL to fetch a file by. */
    readonly url: (
      object: ObjectRows.StoredObject,
      base: string,
    ) => Effect.Effect<{ readonly url: string; readonly expires: number }>
    /** A URL to send an archive by, once, that is unpacked into a folder of the session. */
    readonly uploadUrl: (
      session: SessionId,
      folder: string,
      base: string,
    ) => Effect.Effect<{ readonly url: string; readonly expires: number }>
    /** Bytes of one file, at most. */
    readonly limit: number
  }
>() {
  static readonly layer = Layer.effect(
    Objects,
    Effect.gen(function* () {
      const store = yield* PackStore
      const rows = yield* ObjectRows.make
      const urls = yield* SignedUrls
      const limit = yield* settings.maxTransfer.config
      const unavailable = ({ reason }: StoreFailed) => Effect.fail(new StoreUnavailable({ reason }))
      const newId = Effect.map(randomId("a_"), (id) => ObjectId.make(id))
      const find = (id: string) =>
        Effect.filterOrFail(
          answering(rows.find(id)),
          (found): found is ObjectRows.StoredObject => found !== undefined,
          () => new ArtifactNotFound({ id }),
        )

      const contents = (object: ObjectRows.StoredObject, from = 0, length = object.size - from) => {
        const end = Math.min(object.size, from + length)
        const last = Math.ceil(end / pieceSize)
        const begin = Math.floor(from / pieceSize)
        const batches = Array.from(
          { length: Math.max(0, Math.ceil((last - begin) / batch)) },
          (_, index) => begin + batch * index,
        )
        return Stream.fromIterable(batches).pipe(
          Stream.flatMap((first) =>
            Stream.unwrap(
              Effect.gen(function* () {
                const hashes = yield* answering(rows.pieces(object.id, first, Math.min(batch, last - first)))
                const places = yield* answering(rows.places(object.principal, hashes))
                const read = reader(new Map(places.map((place) => [place.hash, place])), store, 1)
                const parts = Stream.fromIterable(hashes.entries()).pipe(
                  Stream.mapEffect(([index, hash]) =>
                    Effect.map(read(hash), (data) => {
                      const begin = (first + index) * pieceSize
                      return data.subarray(Math.max(0, from - begin), Math.max(0, end - begin))
                    }),
                  ),
                )
                return hashes.length < Math.min(batch, last - first) ? Stream.concat(parts, gone) : parts
              }),
            ),
          ),
          Stream.catchTags({
            StoreFailed: unavailable,
            PieceDamaged: ({ hash }) =>
              new StoreUnavailable({ reason: `the contents ${hash.slice(0, 12)} are damaged` }),
          }),
        )
      }

      /** What was begun is finished before anyone takes it away again. */
      const noting = (written: Array<string>): PackStore["Type"] => ({
        ...store,
        put: (pack, data) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              written.push(pack)
              return store.put(pack, data)
            }),
          ),
      })

      /** Removes packs of a file that is not kept. Where Postgres does not answer, they go after a while by themselves. */
      const discard = (written: ReadonlyArray<string>) =>
        written.length === 0
          ? Effect.void
          : answering(rows.forget(written)).pipe(Effect.flatMap(store.remove), Effect.ignoreLogged)

      const keep = Effect.fnUntraced(function* <E>(
        { id: given, ...object }: Omit<ObjectRows.NewObject, "id"> & { readonly id?: ObjectId },
        source: Stream.Stream<Uint8Array, E>,
        written: Array<string>,
      ) {
        const { kind, principal, session } = object
        const id = given ?? (yield* newId)
        yield* answering(rows.bounded(principal, session, kind, 0))
        const packs = noting(written)
        const packing = yield* Packing.make(packs, (hashes) =>
          Effect.map(
            answering(rows.known(principal, hashes)),
            (known) => new Set(hashes.filter((hash) => !known.has(hash))),
          ),
        )
        const waiting: Array<Piece> = []
        let bytes = 0
        const flush = Effect.suspend(() => {
          bytes = 0
          return packing.add(waiting.splice(0))
        }).pipe(Effect.catchTag("StoreFailed", unavailable))
        const all = yield* cut(source, limit, (piece) => {
          waiting.push(piece)
          bytes += piece.data.length
          return bytes >= packSize ? flush : Effect.void
        })
        yield* flush
        const places = yield* packing.finish.pipe(
          Effect.tap(({ pack }) => (pack === undefined ? Effect.void : packs.put(pack.id, pack.data))),
          Effect.map(({ places }) => places),
          Effect.catchTag("StoreFailed", unavailable),
        )
        yield* answering(rows.insert({ id, ...object }, all, places))
        return yield* Effect.catchTag(find(id), "ArtifactNotFound", () =>
          Effect.dieMessage("what was just kept is gone"),
        )
      })

      return {
        limit,

        save: Effect.fn("Objects.save")(function* (object, source) {
          const written: Array<string> = []
          return yield* keep(object, source, written).pipe(
            Effect.scoped,
            Effect.onError(() => discard(written)),
          )
        }),

        artifact: (principal, id) =>
          Effect.filterOrFail(
            find(id),
            (found) => found.principal === principal && found.kind === "artifact",
            () => new ArtifactNotFound({ id }),
          ),

        list: (principal, limit) => answering(rows.list(principal, limit)),
        remove: (principal, id) => answering(rows.remove(principal, id)),

        upload: (session, id) =>
          Effect.filterOrFail(
            find(id),
            (found) => found.session === session && found.kind === "upload",
            () => new ArtifactNotFound({ id }),
          ),

        contents,

        allowed: Effect.fn("Objects.allowed")(function* ({ object, outlives, session }) {
          const found = yield* find(object)
          if (found.session !== session) return yield* new UrlRefused({ why: "invalid" })
          if (!found.isSessionOpen && outlives !== true) return yield* new UrlRefused({ why: "ended" })
          return found
        }),

        receiver: Effect.fn("Objects.receiver")(function* ({ object, session }) {
          const principal = yield* answering(rows.principalOf(session))
          if (principal === undefined) return yield* new UrlRefused({ why: "ended" })
          if (yield* answering(rows.isOperation(session, object))) return yield* new UrlUsed({ object })
          return principal
        }),

        url: ({ expiresAt, id, isSessionOpen, name, session }, base) =>
          urls.make(
            base,
            { session, object: id, method: "GET", ...(isSessionOpen ? {} : { outlives: true as const }) },
            name,
            expiresAt ?? Infinity,
          ),

        uploadUrl: (session, folder, base) =>
          Effect.flatMap(newId, (object) =>
            urls.make(base, { session, object, method: "PUT", folder }, "archive"),
          ),
      }
    }),
  )
}

/** Pieces whose places are looked up together. */
const batch = 64

/** It was removed while it was read. */
const gone = Stream.fail(new StoreUnavailable({ reason: "the file was deleted" }))
